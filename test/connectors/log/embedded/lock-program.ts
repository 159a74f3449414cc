import { createInterface } from "node:readline";
import { openEmbeddedLog, type EmbeddedLog } from "../../../../connectors/log/embedded/embedded-log.js";
import { SluiceError } from "../../../../schemas/errors.js";

/**
 * `lock-program FOLDER`: at each line "open" tries to become the folder's writer and says "won" or "refused PID";
 * at each line "close" lets go and says "closed".
 */
let log: EmbeddedLog | null = null;
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "close") {
    await log?.close();
    log = null;
    process.stdout.write("closed\n");
    continue;
  }
  try {
    log = await openEmbeddedLog(process.argv[2]!, { exclusive: true, command: "lock" });
    process.stdout.write("won\n");
  } catch (error) {
    const refused = error instanceof SluiceError && error.code === "E_LOCKED";
    process.stdout.write(refused ? `refused ${String(error.context.pid)}\n` : `failed ${String(error)}\n`);
  }
}
