import { openKafkaLog } from "../../../../connectors/log/kafka/kafka-log.js";
import { text } from "../../../conformance/log.js";

/**
 * A producer that resumes from its cursor: `node cursor-program.js <broker> <topic> <cursor> <end> <batch bytes>`.
 * Appends the numbers from the cursor's on up to `end`, three at a time, and prints each cursor that is noted.
 */
const [broker = "", topic = "", name = "", end = "0", batchBytes = "900000"] = process.argv.slice(2);
const log = await openKafkaLog({ brokers: [broker], maxBatchBytes: Number(batchBytes) });
for (let next = Number((await log.cursor(name)) ?? 0); next < Number(end);) {
  const numbers = [next, next + 1, next + 2].filter((number) => number < Number(end));
  next += numbers.length;
  await log.append(
    topic,
    0,
    numbers.map((number) => text(String(number))),
    { name, value: String(next) },
  );
  process.stdout.write(`${next}\n`);
}
await log.close();
