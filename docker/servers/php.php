<?php
// The stream server of PHP makes a context for each connection. It asks clients
// for certificates unless verify_peer is false.
$verify = ($argv[1] ?? '') === 'verify';
$options = ['local_cert' => '/etc/ssl/cert.pem', 'local_pk' => '/etc/ssl/key.pem',
    'cafile' => '/etc/ssl/client.pem', 'verify_peer' => $verify, 'verify_peer_name' => false];
$server = stream_socket_server('tls://0.0.0.0:8443', $code, $text,
    STREAM_SERVER_BIND | STREAM_SERVER_LISTEN, stream_context_create(['ssl' => $options]));
while (true) {
    $client = @stream_socket_accept($server, -1);
    if ($client !== false) {
        fread($client, 4096);
        fwrite($client, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok\n");
        fclose($client);
    }
}
