use Mojolicious::Lite -signatures;

app->log->level('error');
get '/' => sub ($c) { $c->render(json => {pid => $$}) };
app->start;
