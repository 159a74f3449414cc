import { createInterface } from "node:readline";
import { openEmbeddedLog } from "../../../../connectors/log/embedded/embedded-log.js";
import { SluiceError } from "../../../../schemas/errors.js";

/** `look-program FOLDER`: says what a log opened read-only shows; at the line "tail", each record of images/0 as it comes. */
const log = await openEmbeddedLog(process.argv[2]!, { exclusive: false });
const found = log.holder();
const [ends] = await log.ends("images");
const write = await log.append("images", 0, []).then(
  () => "allowed",
  (error: unknown) => (error instanceof SluiceError ? error.code : String(error)),
);
const cursor = String(await log.cursor("source"));
const who = found === null ? "none" : `${found.holder.pid} ${found.holder.command} ${found.alive}`;
process.stdout.write(`holder ${who}, end ${ends!.end}, cursor ${cursor}, write ${write}\n`);
for await (const line of createInterface({ input: process.stdin })) if (line === "tail") break;
await log.consume(
  "images",
  "tail",
  async (assignment) => {
    for await (const { records } of assignment.read(0, { maxRecords: 100, maxBytes: 1e6 })) {
      for (const { value } of records) process.stdout.write(`${Buffer.from(value!).toString()}\n`);
    }
  },
  new AbortController().signal,
);
