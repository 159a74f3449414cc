import { openEmbeddedLog } from "../../../../connectors/log/embedded/embedded-log.js";

/**
 * `append-program FOLDER`: appends records "0", "1", "2", … in batches of growing and shrinking size, the cursor always
 * the number appended, and says that number after each append. Goes on where the cursor is, until it is killed.
 */
const log = await openEmbeddedLog(process.argv[2]!, { exclusive: true, command: "append" });
await log.ensureTopic("images", 1);
const seen = log.table("seen");
let count = Number((await log.cursor("source")) ?? "0");
for (let round = 0; ; round++) {
  const first = count;
  count += 1 + ((round * 37) % 200);
  const records = Array.from({ length: count - first }, (_, i) => ({
    key: null,
    value: Buffer.from(String(first + i)),
    headers: {},
    timestampMs: 0,
  }));
  const cursor = { name: "source", value: String(count) };
  await log.transaction((transaction) => {
    transaction.append("images", 0, records, cursor);
    transaction.put(seen, Buffer.from("count"), Buffer.from(String(count)));
  });
  process.stdout.write(`${count}\n`);
}
