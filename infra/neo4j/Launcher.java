// Runs a Neo4j for the tests: the real server on a free port of this machine alone, until its standard input ends.
//
//     NEO4J_PASSWORD=… java -cp 'launcher.jar:lib/*' Launcher FOLDER [PORT]
//
// It prints "bolt PORT" once it answers. Everything that it keeps is in FOLDER.

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.neo4j.configuration.GraphDatabaseInternalSettings;
import org.neo4j.configuration.GraphDatabaseSettings;
import org.neo4j.configuration.connectors.BoltConnector;
import org.neo4j.configuration.connectors.ConnectorPortRegister;
import org.neo4j.configuration.connectors.ConnectorType;
import org.neo4j.configuration.helpers.SocketAddress;
import org.neo4j.dbms.api.DatabaseManagementServiceBuilder;
import org.neo4j.io.ByteUnit;
import org.neo4j.kernel.internal.GraphDatabaseAPI;

class Launcher {
    public static void main(String[] arguments) {
        try {
            run(arguments);
            System.exit(0);
        } catch (Exception error) {
            error.printStackTrace();
            System.exit(1); // the server's own threads would keep the process
        }
    }

    static void run(String[] arguments) throws Exception {
        var port = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 0;
        var server = new DatabaseManagementServiceBuilder(Path.of(arguments[0]))
                .setConfig(BoltConnector.enabled, true)
                .setConfig(BoltConnector.listen_address, new SocketAddress("127.0.0.1", port))
                .setConfig(GraphDatabaseSettings.auth_enabled, true)
                .setConfig(GraphDatabaseSettings.pagecache_memory, ByteUnit.mebiBytes(64))
                .setConfig(GraphDatabaseSettings.memory_transaction_global_max_size, ByteUnit.mebiBytes(200))
                .setConfig(GraphDatabaseSettings.transaction_monitor_check_interval, Duration.ofMillis(200))
                .setConfig(GraphDatabaseSettings.udc_enabled, false)
                .setConfig(GraphDatabaseInternalSettings.dump_diagnostics, false)
                .build();
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdown));
        var known = Path.of(arguments[0], "password-is-set"); // setting the same one again is refused
        if (!Files.exists(known)) {
            server.database("system").executeTransactionally(
                    "ALTER USER neo4j SET PASSWORD $password CHANGE NOT REQUIRED",
                    Map.of("password", System.getenv("NEO4J_PASSWORD")));
            Files.createFile(known);
        }
        var database = (GraphDatabaseAPI) server.database("neo4j");
        var connectors = database.getDependencyResolver().resolveDependency(ConnectorPortRegister.class);
        System.out.println("bolt " + connectors.getLocalAddress(ConnectorType.BOLT).getPort());
        while (System.in.read() >= 0) { }
    }
}
