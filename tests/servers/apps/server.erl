%% A process for each connection that gen_tcp accepts.
-module(server).
-export([main/0]).

main() ->
    Port = list_to_integer(os:getenv("PORT")),
    {ok, Listener} = gen_tcp:listen(Port, [binary, {ip, {127, 0, 0, 1}}, {packet, http_bin},
                                           {active, false}, {reuseaddr, true}]),
    accept(Listener).

accept(Listener) ->
    {ok, Client} = gen_tcp:accept(Listener),
    Serving = spawn(fun() -> receive ready -> serve(Client, keep) end end),
    ok = gen_tcp:controlling_process(Client, Serving),
    Serving ! ready,
    accept(Listener).

serve(Client, Keep) ->
    case gen_tcp:recv(Client, 0) of
        {ok, {http_header, _, 'Connection', _, <<"close">>}} -> serve(Client, close);
        {ok, http_eoh} -> answer(Client, Keep);
        {ok, _} -> serve(Client, Keep);
        {error, _} -> gen_tcp:close(Client)
    end.

answer(Client, Keep) ->
    Body = ["{\"pid\":", os:getpid(), "}"],
    Length = integer_to_list(iolist_size(Body)),
    gen_tcp:send(Client, ["HTTP/1.1 200 OK\r\nContent-Length: ", Length, "\r\n\r\n", Body]),
    case Keep of
        keep -> serve(Client, keep);
        close -> gen_tcp:close(Client)
    end.
