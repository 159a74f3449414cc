import { setTimeout as sleep } from "node:timers/promises";
import { LiveDatasets } from "../../../pipelines/flow/live-datasets.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { CARD, downstreamConformance } from "../../conformance/downstream.js";
import { memoryLog } from "../../fixtures/broker-log.js";
import { MemoryBroker } from "../../fixtures/memory-broker.js";
import { topicSite } from "../../fixtures/topic-site.js";

const teacher = teacherDigest(CARD);

downstreamConformance({
  name: "states in this process",
  site: (store, datasets) => {
    const stream = "images";
    const options = { store, datasets, teacher, stream, card: CARD, everySegments: 100, keep: 2 };
    return Promise.resolve({
      stream,
      open: (frontier) => LiveDatasets.open(options, frontier),
      settle: (downstream) => downstream.close(),
      close: () => Promise.resolve(),
    });
  },
});

for (const shards of [1, 3]) {
  downstreamConformance({
    name: `topics in memory, ${shards} shards`,
    site: (store, datasets) => {
      const broker = new MemoryBroker(Date.now);
      const committed = (group: string, topic: string, partition: number) =>
        Promise.resolve(broker.committed(topic, group, partition));
      return topicSite({
        store,
        datasets,
        shards,
        stream: "images",
        log: memoryLog(broker),
        committed,
        pause: () => sleep(5),
      });
    },
  });
}
