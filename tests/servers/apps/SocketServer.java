import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

/** A thread for each connection that a blocking ServerSocket accepts; one request on each. */
public class SocketServer {
    public static void main(String[] arguments) throws IOException {
        int port = Integer.parseInt(System.getenv("PORT"));
        ServerSocket server = new ServerSocket(port, 128, InetAddress.getByName("127.0.0.1"));
        while (true) {
            Socket client = server.accept();
            new Thread(() -> answer(client)).start();
        }
    }

    private static void answer(Socket client) {
        String body = "{\"pid\":" + ProcessHandle.current().pid() + "}";
        String head = "HTTP/1.1 200 OK\r\nContent-Length: " + body.length()
            + "\r\nConnection: close\r\n\r\n";
        try (client) {
            BufferedReader reader =
                new BufferedReader(new InputStreamReader(client.getInputStream()));
            String line = reader.readLine();
            while (line != null && !line.isEmpty())
                line = reader.readLine();
            client.getOutputStream().write((head + body).getBytes(StandardCharsets.UTF_8));
        } catch (IOException gone) {
            // The client hung up.
        }
    }
}
