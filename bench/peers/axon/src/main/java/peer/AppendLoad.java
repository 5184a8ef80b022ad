package peer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import org.axonframework.commandhandling.SimpleCommandBus;
import org.axonframework.commandhandling.gateway.CommandGateway;
import org.axonframework.common.jdbc.DataSourceConnectionProvider;
import org.axonframework.common.jdbc.UnitOfWorkAwareConnectionProviderWrapper;
import org.axonframework.common.transaction.NoTransactionManager;
import org.axonframework.config.Configuration;
import org.axonframework.config.DefaultConfigurer;
import org.axonframework.eventsourcing.eventstore.jdbc.EventSchema;
import org.axonframework.eventsourcing.eventstore.jdbc.JdbcEventStorageEngine;
import org.axonframework.eventsourcing.eventstore.jdbc.PostgresEventTableFactory;
import org.axonframework.serialization.json.JacksonSerializer;

/**
 * Sends commands: for each new stream one that discovers an opportunity and one that amends it. Prints a JSON line.
 * Arguments: JDBC URL, user, workload, commands in flight, connections, seconds of warm-up, seconds.
 */
public final class AppendLoad {
    private static final AtomicLong NEXT_STREAM = new AtomicLong(1);

    public static void main(String[] arguments) throws Exception {
        JsonNode workload = new ObjectMapper().readTree(new File(arguments[2]));
        int inFlight = Integer.parseInt(arguments[3]);
        HikariConfig pool = new HikariConfig();
        pool.setJdbcUrl(arguments[0]);
        pool.setUsername(arguments[1]);
        pool.setMaximumPoolSize(Integer.parseInt(arguments[4]));
        // The connection of a unit of work commits with it.
        pool.setAutoCommit(false);
        try (HikariDataSource source = new HikariDataSource(pool);
                ExecutorService writers = Executors.newFixedThreadPool(inFlight)) {
            Configuration axon = configure(source);
            axon.start();
            CommandGateway commands = axon.commandGateway();
            measure(writers, commands, workload, inFlight, Integer.parseInt(arguments[5]));
            long start = System.nanoTime();
            double[] waits = measure(writers, commands, workload, inFlight, Integer.parseInt(arguments[6]));
            double elapsedS = (System.nanoTime() - start) / 1e9;
            checkCount(source);
            System.out.printf(Locale.ROOT, "{\"events_per_s\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f}%n",
                    waits.length / elapsedS, waits[waits.length / 2], waits[(int) (waits.length * 0.99)]);
            axon.shutdown();
        }
    }

    private static Configuration configure(HikariDataSource source) {
        var connections = new UnitOfWorkAwareConnectionProviderWrapper(new DataSourceConnectionProvider(source));
        return DefaultConfigurer.defaultConfiguration()
                .configureSerializer(axon -> JacksonSerializer.defaultSerializer())
                // The writers' threads execute the commands.
                .configureCommandBus(axon -> SimpleCommandBus.builder().build())
                .configureEmbeddedEventStore(axon -> {
                    JdbcEventStorageEngine engine = JdbcEventStorageEngine.builder()
                            .connectionProvider(connections)
                            .transactionManager(NoTransactionManager.instance())
                            .eventSerializer(axon.eventSerializer())
                            .snapshotSerializer(axon.serializer())
                            .schema(new EventSchema())
                            .build();
                    createTables(source);
                    return engine;
                })
                .configureAggregate(Opportunity.class)
                .buildConfiguration();
    }

    private static void createTables(HikariDataSource source) {
        try (var connection = source.getConnection()) {
            PostgresEventTableFactory.INSTANCE.createDomainEventTable(connection, new EventSchema()).execute();
            PostgresEventTableFactory.INSTANCE.createSnapshotEventTable(connection, new EventSchema()).execute();
            connection.commit();
        } catch (java.sql.SQLException error) {
            throw new IllegalStateException("creating the tables of the event store", error);
        }
    }

    private static double[] measure(ExecutorService writers, CommandGateway commands, JsonNode workload, int inFlight, int seconds)
            throws Exception {
        long end = System.nanoTime() + seconds * 1_000_000_000L;
        Callable<List<Double>> writer = () -> writeUntil(end, commands, workload);
        List<Double> waits = new ArrayList<>();
        List<Future<List<Double>>> running = new ArrayList<>();
        for (int number = 0; number < inFlight; number++) {
            running.add(writers.submit(writer));
        }
        for (Future<List<Double>> one : running) {
            waits.addAll(one.get());
        }
        double[] sorted = waits.stream().mapToDouble(Double::doubleValue).toArray();
        Arrays.sort(sorted);
        return sorted;
    }

    private static List<Double> writeUntil(long end, CommandGateway commands, JsonNode workload) {
        List<Double> waits = new ArrayList<>();
        while (System.nanoTime() < end) {
            String id = "opportunity-" + NEXT_STREAM.getAndIncrement();
            long start = System.nanoTime();
            commands.sendAndWait(new Opportunity.Discover(id, workload.get("filing"), workload.get("facts")));
            long between = System.nanoTime();
            commands.sendAndWait(new Opportunity.Amend(id, "Patient lifts, ceiling mounted!"));
            waits.add((between - start) / 1e6);
            waits.add((System.nanoTime() - between) / 1e6);
        }
        return waits;
    }

    /** Fails unless another connection sees two events of each stream: the commands have committed. */
    private static void checkCount(HikariDataSource source) throws Exception {
        try (var connection = source.getConnection(); var statement = connection.createStatement()) {
            var rows = statement.executeQuery("select count(*) from DomainEventEntry");
            rows.next();
            long expected = 2 * (NEXT_STREAM.get() - 1);
            if (rows.getLong(1) != expected) {
                throw new IllegalStateException(rows.getLong(1) + " events are stored instead of " + expected);
            }
        }
    }
}
