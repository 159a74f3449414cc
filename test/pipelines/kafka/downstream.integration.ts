import { after, before } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openKafkaLog, type KafkaLog } from "../../../connectors/log/kafka/kafka-log.js";
import { startKafka, type LocalKafka } from "../../../deploy/local/kafka.js";
import { downstreamConformance } from "../../conformance/downstream.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import { topicSite } from "../../fixtures/topic-site.js";

const skip = await cannotStart("kafka");
let kafka: LocalKafka;
let log: KafkaLog;
before(async () => {
  if (skip !== false) return;
  kafka = await startKafka();
  log = await openKafkaLog({ brokers: [kafka.address] });
});
after(async () => {
  if (skip !== false) return;
  await log.close();
  await kafka.stop();
});

let sites = 0;
downstreamConformance({
  name: "topics of Kafka",
  skip,
  site: (store, datasets) =>
    topicSite({
      store,
      datasets,
      shards: 2,
      // Topics of its own
      stream: `images-${sites++}`,
      log,
      committed: (group, topic, partition) => log.committed(group, topic, partition),
      pause: () => sleep(200),
    }),
});
