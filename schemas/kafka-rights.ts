import { groupPrefix, STREAM_GROUPS, type GroupRole } from "./kafka-names.js";
import type { KafkaConfig } from "./kafka-config.js";

/** Kafka's names of what a client may be allowed to do. Read and Write bring Describe with them. */
export type KafkaOperation = "Read" | "Write" | "Create" | "Describe" | "DescribeConfigs" | "Delete";

/** One thing that a client must be allowed to do. */
export interface KafkaRight {
  readonly operation: KafkaOperation;
  readonly resource: "topic" | "group";
  /** Of a `prefixed` one what its names begin with */
  readonly name: string;
  readonly pattern: "literal" | "prefixed";
}

export const KAFKA_ROLES = [
  "producer",
  "watcher",
  "scorer",
  "topk",
  "publisher",
  "compactor",
  "all",
  "ingest",
  "replayer",
  "labeller",
  "observer",
  "administrator",
] as const;
export type KafkaRole = (typeof KAFKA_ROLES)[number];

type TopicName = "images" | keyof KafkaConfig["topics"];

interface RoleRights {
  /** What the role's commands are */
  readonly runs: string;
  readonly topics: Readonly<Partial<Record<TopicName, readonly KafkaOperation[]>>>;
  readonly groups?: Readonly<Partial<Record<GroupRole, KafkaOperation>>>;
}

/** Each process looks at its topics' settings as it starts. */
const READ = ["Read", "DescribeConfigs"] as const;
const WRITE = ["Write", "DescribeConfigs"] as const;
/** The first process of a stream tells which store it is. */
const STORE = { store: ["Read", "Write"] } as const;

const SCORER = { images: READ, candidates: WRITE, thresholds: READ, quarantine: WRITE, ...STORE } as const;
const TOPK = { candidates: READ, thresholds: WRITE, ...STORE } as const;
const PUBLISHER = {
  candidates: READ,
  thresholds: READ,
  versions: ["Read", ...WRITE],
  labels: READ,
  quarantine: WRITE,
  ...STORE,
} as const;
const SEEN = ["Read", "DescribeConfigs"] as const;

const ROLES: Readonly<Record<KafkaRole, RoleRights>> = {
  producer: { runs: "sluice produce, gateway", topics: { images: ["Write"], cursors: ["Read", "Write"] } },
  watcher: {
    runs: "sluice run watch",
    topics: { events: ["Read"], images: ["Write"], quarantine: ["Write"] },
    groups: { watch: "Read" },
  },
  scorer: { runs: "sluice run score", topics: SCORER, groups: { score: "Read" } },
  topk: { runs: "sluice run topk", topics: TOPK, groups: { topk: "Read" } },
  publisher: { runs: "sluice run publish", topics: PUBLISHER, groups: { publish: "Read", labels: "Read" } },
  compactor: { runs: "sluice run compact", topics: STORE },
  all: {
    runs: "sluice run all",
    topics: {
      ...SCORER,
      ...PUBLISHER,
      candidates: ["Read", ...WRITE],
      thresholds: ["Read", ...WRITE],
    },
    groups: { score: "Read", topk: "Read", publish: "Read", labels: "Read" },
  },
  ingest: {
    runs: "sluice ingest (of a source: with what a producer needs)",
    topics: {
      images: READ,
      versions: ["Read", ...WRITE],
      quarantine: WRITE,
      ...STORE,
    },
    groups: { score: "Read" },
  },
  replayer: {
    runs: "sluice replay",
    topics: { images: ["Read"], quarantine: ["Write"], ...STORE },
    groups: { replay: "Read", score: "Describe" },
  },
  labeller: { runs: "sluice label", topics: { labels: ["Read", "Write"], quarantine: ["Write"], ...STORE } },
  observer: {
    runs: "sluice status, topics check, check",
    topics: {
      images: SEEN,
      candidates: SEEN,
      thresholds: SEEN,
      labels: SEEN,
      versions: SEEN,
      quarantine: SEEN,
      store: SEEN,
      cursors: SEEN,
    },
    groups: { score: "Describe", replay: "Describe", topk: "Describe", publish: "Describe", labels: "Describe" },
  },
  administrator: {
    runs: "sluice topics create",
    topics: {
      images: ["Create", ...SEEN],
      candidates: ["Create", ...SEEN],
      thresholds: ["Create", ...SEEN],
      labels: ["Create", ...SEEN],
      versions: ["Create", ...SEEN],
      quarantine: ["Create", ...SEEN],
      store: ["Create", ...SEEN],
      cursors: ["Create", ...SEEN],
    },
  },
};

/** The commands of a role */
export function commandsOf(role: KafkaRole): string {
  return ROLES[role].runs;
}

/** All that a role needs on a cluster that has the topics; groups of all teachers. */
export function rightsOf(
  role: KafkaRole,
  place: { readonly stream: string; readonly kafka: Pick<KafkaConfig, "prefix" | "topics"> },
): KafkaRight[] {
  const { topics, groups = {} } = ROLES[role];
  const ofTopics = Object.entries(topics).flatMap(([topic, operations]) => {
    const name = topic === "images" ? place.stream : place.kafka.topics[topic as keyof KafkaConfig["topics"]];
    return operations.map((operation): KafkaRight => ({ operation, resource: "topic", name, pattern: "literal" }));
  });
  const ofGroups = Object.entries(groups).map(([group, operation]): KafkaRight => {
    const name = groupPrefix(place, group as GroupRole);
    // The stream's own stand as they are; the others are followed by a teacher's digest.
    return STREAM_GROUPS.some((own) => own === group)
      ? { operation, resource: "group", name, pattern: "literal" }
      : { operation, resource: "group", name: `${name}-`, pattern: "prefixed" };
  });
  return [...ofTopics, ...ofGroups];
}

/** "Write on topic images" */
export function rightText({ operation, resource, name, pattern }: KafkaRight): string {
  return `${operation} on ${resource} ${name}${pattern === "prefixed" ? "*" : ""}`;
}
