// Writes the dashboards of metrics: node write-dashboards.mjs FOLDER. They are short lists here, and long files as Grafana reads them.
// A test fails when the files in dashboards/ differ from what this writes. engagement.json, about ClickHouse, is kept by hand.
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const datasource = { type: "prometheus", uid: "${datasource}" };
// Two columns of panels, or a row of four figures.
const WIDTH = { figure: 6, graph: 12 };
const HEIGHT = { figure: 4, graph: 8 };

/** A graph of queries with their legends. */
const graph = (title, unit, ...queries) => ({ shape: "graph", type: "timeseries", title, unit, queries });
/** The present value of a query, red from `limit` on (or up to it, if `limit` is negative). */
const figure = (title, unit, limit, expr) => ({ shape: "figure", type: "stat", title, unit, limit, queries: [[expr, ""]] });

const thresholds = (limit) => ({
  mode: "absolute",
  steps:
    limit >= 0
      ? [{ color: "green", value: null }, { color: "red", value: limit }]
      : [{ color: "red", value: null }, { color: "green", value: -limit }],
});

const toPanels = (rows) => {
  let [x, y, height] = [0, 0, 0];
  return rows.map((row, index) => {
    const [w, h] = [WIDTH[row.shape], HEIGHT[row.shape]];
    if (x + w > 24 || (height !== 0 && h !== height)) [x, y] = [0, y + height];
    height = h;
    const gridPos = { x, y, w, h };
    x += w;
    const defaults = { unit: row.unit, min: 0 };
    if (row.limit !== undefined) defaults.thresholds = thresholds(row.limit);
    return {
      id: index + 1,
      type: row.type,
      title: row.title,
      datasource,
      gridPos,
      fieldConfig: { defaults, overrides: [] },
      targets: row.queries.map(([expr, legendFormat], query) => ({
        refId: String.fromCharCode(65 + query),
        datasource,
        expr,
        legendFormat,
      })),
    };
  });
};

const dashboard = (name, title, rows) => ({
  uid: `medhub-${name}`,
  title: `MedContractHub: ${title}`,
  tags: ["medhub"],
  schemaVersion: 39,
  version: 1,
  editable: true,
  refresh: "30s",
  timezone: "utc",
  time: { from: "now-6h", to: "now" },
  templating: {
    list: [{ name: "datasource", type: "datasource", query: "prometheus", label: "Prometheus", hide: 0, regex: "", refresh: 1 }],
  },
  panels: toPanels(rows),
});

const quantile = (q, metric, by = "", filter = "") =>
  `histogram_quantile(${q}, sum by (le${by && `, ${by}`}) (rate(${metric}_bucket${filter && `{${filter}}`}[5m])))`;

const OVERVIEW = dashboard("overview", "overview", [
  figure("Requests that fail", "percentunit", 0.005, "objective:availability_errors:ratio_rate5m"),
  figure("99 of 100 queries within", "s", 0.5, quantile(0.99, "medhub_graphql_operation_duration_seconds", "", 'graphql_operation_type="query"')),
  figure("Read models behind", "s", 300, "objective:freshness_lag:seconds"),
  figure("Events per second", "short", 1e9, "sum(rate(medhub_relay_events_total[5m]))"),
  graph("HTTP requests per second", "reqps",
    ["sum by (http_response_status_code) (rate(http_server_request_duration_seconds_count[5m]))", "{{http_response_status_code}}"]),
  graph("Time to respond", "s",
    [quantile(0.5, "http_server_request_duration_seconds"), "50 %"],
    [quantile(0.95, "http_server_request_duration_seconds"), "95 %"],
    [quantile(0.99, "http_server_request_duration_seconds"), "99 %"]),
  graph("Slowest routes, 95 %", "s",
    [`topk(10, ${quantile(0.95, "http_server_request_duration_seconds", "http_route")})`, "{{http_route}}"]),
  graph("GraphQL operations per second", "reqps",
    ["sum by (graphql_operation_type, outcome) (rate(medhub_graphql_operation_duration_seconds_count[5m]))", "{{graphql_operation_type}} {{outcome}}"],
    ["sum(rate(medhub_graphql_refused_documents_total[5m]))", "document refused"]),
  graph("gRPC calls per second", "reqps",
    ["sum by (rpc_method, rpc_response_status_code) (rate(rpc_server_call_duration_seconds_count[5m]))", "{{rpc_method}} {{rpc_response_status_code}}"]),
  graph("Open connections", "short",
    ["sum by (protocol) (medhub_websockets)", "WebSocket {{protocol}}"],
    ["sum(medhub_graphql_subscriptions)", "subscriptions"],
    ["sum(http_server_active_requests)", "requests"]),
  graph("Ingest: events per second", "short",
    ["sum by (outcome) (rate(medhub_ingest_events_total[5m]))", "{{outcome}}"]),
  graph("Ingest: buffer", "percentunit",
    ["max by (instance) (medhub_ingest_buffer_events / medhub_ingest_buffer_limit_events)", "{{instance}}"]),
  graph("Commands per second", "short",
    ["sum by (aggregate_type, outcome) (rate(medhub_command_duration_seconds_count[5m]))", "{{aggregate_type}} {{outcome}}"]),
  graph("Views and clicks per hour, by agency", "short",
    ["sum by (kind, agency) (increase(medhub_engagement_events_total[1h]))", "{{kind}} {{agency}}"]),
  graph("Views per hour, by source", "short",
    ['sum by (source) (increase(medhub_engagement_events_total{kind="view"}[1h]))', "{{source}}"]),
  graph("Opportunities per hour, by agency", "short",
    ["sum by (agency, event_type) (increase(medhub_opportunity_events_total[1h]))", "{{agency}} {{event_type}}"]),
  graph("Connections to Postgres", "percentunit",
    ['sum by (app, instance) (db_client_connection_count{db_client_connection_state="used"}) / sum by (app, instance) (db_client_connection_max)', "{{app}} {{instance}}"]),
  graph("Memory", "bytes", ["process_resident_memory_bytes", "{{app}} {{instance}}"]),
  graph("Open files", "percentunit", ["process_open_fds / process_max_fds", "{{app}} {{instance}}"]),
  graph("Tasks of the runtime that wait for a thread", "short", ["medhub_runtime_queued_tasks", "{{app}} {{instance}}"]),
]);

const PIPELINE = dashboard("kafka-pipeline", "Kafka pipeline", [
  figure("Relays that lead", "short", -1, "sum(medhub_relay_leading)"),
  figure("Not on Kafka since", "s", 60, "max(medhub_relay_lag_seconds)"),
  figure("Events not on Kafka", "short", 10000, "max(medhub_relay_lag_events)"),
  figure("Dead letters within a day", "short", 1, "sum(increase(medhub_projection_parked_total[1d]))"),
  graph("Events recorded per second", "short",
    ["sum by (aggregate_type) (rate(medhub_events_recorded_total[5m]))", "{{aggregate_type}}"]),
  graph("Events published per second", "short", ["sum(rate(medhub_relay_events_total[5m]))", "published"]),
  graph("From the append to Kafka's acknowledgement", "s",
    [quantile(0.5, "medhub_relay_commit_to_kafka_seconds"), "50 %"],
    [quantile(0.99, "medhub_relay_commit_to_kafka_seconds"), "99 %"]),
  graph("Records that Kafka has not acknowledged", "short",
    ["sum(medhub_relay_unacknowledged_records)", "oldest batch"],
    ["max(medhub_log_completed_position) - max(medhub_relay_position)", "positions behind the complete log"]),
  graph("Records to consume", "short",
    ["max by (projection, generation) (medhub_projection_lag_events)", "{{projection}} {{generation}}"]),
  graph("Oldest event that is not applied", "s",
    ["max by (projection, generation) (medhub_projection_lag_seconds)", "{{projection}} {{generation}}"]),
  graph("Open appends that delay the relay", "s",
    ["max(medhub_relay_open_append_age_seconds)", "oldest"]),
  graph("Changes of assigned partitions, lost brokers, stalls per hour", "short",
    ["sum by (projection) (increase(medhub_projection_rebalances_total[1h]))", "assignment {{projection}}"],
    ["sum by (projection) (increase(medhub_projection_lost_brokers_total[1h]))", "lost broker {{projection}}"],
    ["sum by (projection) (increase(medhub_projection_stalled_partitions_total[1h]))", "stall {{projection}}"]),
]);

const PROJECTIONS = dashboard("projections", "projections and rebuilds", [
  figure("Workers that run", "short", -1, "sum(medhub_projection_up)"),
  figure("Behind at most", "s", 300, "max(medhub_projection_lag_seconds)"),
  figure("Retries within an hour", "short", 100, "sum(increase(medhub_projection_retries_total[1h]))"),
  figure("Events from the log within a day", "short", 1, "sum(increase(medhub_projection_healed_total[1d]))"),
  graph("Events applied per second", "short",
    ["sum by (projection, generation) (rate(medhub_projection_events_total[5m]))", "{{projection}} {{generation}}"]),
  graph("Position of each generation: a rebuild is a line that rises to the others", "short",
    ["max by (projection, generation) (medhub_projection_position)", "{{projection}} {{generation}}"]),
  graph("Time to apply a batch, 95 %", "s",
    [quantile(0.95, "medhub_projection_apply_seconds", "projection"), "{{projection}}"]),
  graph("Age of the oldest event of a batch, 99 %", "s",
    [quantile(0.99, "medhub_projection_delay_seconds", "projection"), "{{projection}}"]),
  graph("Events of the last batch", "short",
    ["max by (projection, generation) (medhub_projection_batch_events)", "{{projection}} {{generation}}"]),
  graph("Batches in flight, of what is allowed", "percentunit",
    ["max by (projection, generation, instance) (medhub_projection_batches_in_flight / medhub_projection_batch_slots)", "{{projection}} {{generation}} {{instance}}"]),
  graph("Failed attempts per minute", "short",
    ["sum by (projection, generation) (rate(medhub_projection_retries_total[5m])) * 60", "{{projection}} {{generation}}"]),
  graph("Queries of read models per second", "short",
    ["sum by (read_model) (rate(medhub_read_model_queries_total[5m]))", "{{read_model}}"]),
  graph("Saved searches", "short",
    ["max(medhub_saved_searches)", "searches"],
    ["sum by (outcome) (increase(medhub_search_matches_total[1h]))", "{{outcome}} per hour"]),
  graph("Tasks", "short",
    ["max by (kind, state) (medhub_task_queue_tasks)", "{{kind}} {{state}}"]),
  graph("Workers of tasks that are busy", "percentunit",
    ["sum by (kind) (medhub_task_workers_busy) / sum by (kind) (medhub_task_workers_limit)", "{{kind}}"]),
  graph("Commands of processes", "short",
    ["max(medhub_process_commands_pending)", "pending"],
    ["max(medhub_process_instances_stalled)", "stalled instances"]),
]);

const AI_AND_COST = dashboard("ai-and-cost", "generated texts and their cost", [
  figure("Dollars within a day", "currencyUSD", 50, "sum(provider:generation_cost_dollars:increase1d)"),
  figure("Sections within a day", "short", 1e9, "sum(increase(medhub_generated_sections_total[1d]))"),
  figure("Dollars per section", "currencyUSD", 1, "sum(provider:generation_cost_dollars:increase1d) / sum(increase(medhub_generated_sections_total[1d]))"),
  figure("Sections without budget within a day", "short", 1, "sum(increase(medhub_generation_budget_exceeded_total[1d]))"),
  graph("Dollars per hour", "currencyUSD",
    ["sum by (provider) (increase(medhub_generation_cost_micros_total[1h])) / 1e6", "{{provider}}"]),
  graph("Tokens per minute", "short",
    ["sum by (provider, direction) (rate(medhub_generation_tokens_total[5m])) * 60", "{{provider}} {{direction}}"]),
  graph("Time to generate a text, 95 %", "s",
    [quantile(0.95, "medhub_text_generation_seconds", "provider"), "{{provider}}"]),
  graph("Failed requests per minute", "short",
    ["sum by (provider, reason) (rate(medhub_text_generation_failures_total[5m])) * 60", "{{provider}} {{reason}}"]),
  graph("Attempts to generate a proposal per hour", "short",
    ["sum by (outcome) (increase(medhub_generation_attempts_total[1h]))", "{{outcome}}"]),
  graph("Time of an attempt at a task, 95 %", "s",
    [quantile(0.95, "medhub_task_attempt_duration_seconds", "kind"), "{{kind}}"]),
  graph("Texts embedded per second", "short", ["sum(rate(medhub_search_embedded_total[5m]))", "notices"]),
  graph("Mails per hour, requests to SAM.gov left", "short",
    ["sum by (outcome) (increase(medhub_mails_total[1h]))", "mail {{outcome}}"],
    ["min by (source) (medhub_sam_gov_quota_left)", "quota of {{source}}"]),
]);

const burn = (objective, budget) =>
  graph(`${objective}: how many times too fast its budget is spent`, "short",
    ...["1h", "6h", "1d", "3d"].map((window) => [`objective:${objective}_errors:ratio_rate${window} / ${budget}`, window]));

const OBJECTIVES = dashboard("objectives", "objectives", [
  figure("Available within 3 days (99.5 %)", "percentunit", -0.995, "1 - objective:availability_errors:ratio_rate3d"),
  figure("Queries within 500 ms (99 %)", "percentunit", -0.99, "1 - objective:latency_errors:ratio_rate3d"),
  figure("Fresh within 5 min (99.5 %)", "percentunit", -0.995, "1 - objective:freshness_errors:ratio_rate3d"),
  figure("Alerts", "short", 1, 'count(ALERTS{alertstate="firing"}) or vector(0)'),
  burn("availability", 0.005),
  burn("latency", 0.01),
  burn("freshness", 0.005),
  graph("Requests that fail", "percentunit", ["app:http_errors:ratio_rate5m", "{{app}}"]),
]);

const folder = process.argv[2];
for (const content of [OVERVIEW, PIPELINE, PROJECTIONS, AI_AND_COST, OBJECTIVES]) {
  const file = `${content.uid.replace("medhub-", "")}.json`;
  writeFileSync(join(folder, file), `${JSON.stringify(content, null, 1)}\n`);
}
