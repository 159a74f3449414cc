import { openKafkaLog } from "../../../../connectors/log/kafka/kafka-log.js";
import { textOf } from "../../../conformance/log.js";

/**
 * A member of a group in a process of its own: `node member-program.js <broker> <topic> <group>`. Prints "held P", a line
 * "P/offset text" for each record before it is committed, and "left P".
 */
const [broker = "", topic = "", group = ""] = process.argv.slice(2);
const log = await openKafkaLog({ brokers: [broker], group: { sessionMs: 6_000, heartbeatMs: 300 } });
const stop = new AbortController();
process.on("SIGTERM", () => {
  stop.abort();
});
await log.consume(
  topic,
  group,
  async (assignment) => {
    const { partition } = assignment;
    process.stdout.write(`held ${partition}\n`);
    const from = (await assignment.committed()) ?? 0;
    for await (const { records, end } of assignment.read(from, { maxRecords: 5, maxBytes: 1e6 })) {
      for (const record of records) process.stdout.write(`${partition}/${record.offset} ${textOf(record)}\n`);
      await assignment.commit(end);
    }
    process.stdout.write(`left ${partition}\n`);
  },
  stop.signal,
);
await log.close();
