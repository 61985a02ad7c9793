<?php
$body = json_encode(['pid' => getmypid()]);
header('Content-Length: ' . strlen($body));
echo $body;
