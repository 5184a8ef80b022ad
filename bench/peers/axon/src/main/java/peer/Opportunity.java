package peer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.axonframework.commandhandling.CommandHandler;
import org.axonframework.eventsourcing.EventSourcingHandler;
import org.axonframework.modelling.command.AggregateIdentifier;
import org.axonframework.modelling.command.AggregateLifecycle;
import org.axonframework.modelling.command.TargetAggregateIdentifier;

/** An opportunity that is discovered and amended; its events have the size of the product's. */
public class Opportunity {
    public record Discover(@TargetAggregateIdentifier String id, JsonNode filing, JsonNode facts) {}

    public record Amend(@TargetAggregateIdentifier String id, String title) {}

    public record Discovered(String id, JsonNode filing, JsonNode facts) {}

    public record Amended(String id, JsonNode filing, JsonNode facts) {}

    @AggregateIdentifier
    private String id;
    private JsonNode filing;
    private JsonNode facts;

    protected Opportunity() {}

    @CommandHandler
    public Opportunity(Discover command) {
        AggregateLifecycle.apply(new Discovered(command.id(), command.filing(), command.facts()));
    }

    @CommandHandler
    public void amend(Amend command) {
        ObjectNode amended = facts.deepCopy();
        amended.put("title", command.title());
        AggregateLifecycle.apply(new Amended(id, filing, amended));
    }

    @EventSourcingHandler
    public void on(Discovered event) {
        id = event.id();
        filing = event.filing();
        facts = event.facts();
    }

    @EventSourcingHandler
    public void on(Amended event) {
        facts = event.facts();
    }
}
