import java.util.List;
import java.util.Map;
import java.util.Scanner;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;

/**
 * Creates a topic and says when it has so many records. Reads a number for each line of standard input, and prints the
 * time at which the topic had that many in microseconds since 1970. Arguments: brokers, topic, partitions.
 */
public final class WatchTopic {
    private static final long TIMEOUT_MS = 180_000;
    private static final long POLL_MS = 20;

    public static void main(String[] arguments) throws Exception {
        String topic = arguments[1];
        int partitions = Integer.parseInt(arguments[2]);
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", (Object) arguments[0]))) {
            admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
            Scanner expected = new Scanner(System.in);
            System.out.println("ready");
            while (expected.hasNextLong()) {
                System.out.println(waitFor(admin, topic, partitions, expected.nextLong()));
            }
        }
    }

    private static long waitFor(Admin admin, String topic, int partitions, long expected) throws Exception {
        Map<TopicPartition, OffsetSpec> ends = IntStream.range(0, partitions)
                .mapToObj(number -> new TopicPartition(topic, number))
                .collect(Collectors.toMap(partition -> partition, partition -> OffsetSpec.latest()));
        long end = System.currentTimeMillis() + TIMEOUT_MS;
        while (true) {
            long records = admin.listOffsets(ends).all().get().values().stream().mapToLong(offset -> offset.offset()).sum();
            if (records >= expected) {
                var now = java.time.Instant.now();
                return now.getEpochSecond() * 1_000_000 + now.getNano() / 1_000;
            }
            if (System.currentTimeMillis() > end) {
                throw new IllegalStateException(records + " records instead of " + expected);
            }
            Thread.sleep(POLL_MS);
        }
    }
}
