import { getIfThere, type Store } from "../../connectors/store/store.js";
import { SluiceError } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";
import { decodeStreamLog, encodeStreamLog, isSameLog, type LogIdentity } from "../../schemas/stream-log.js";

/** The log whose offsets the chains of a stream count, and its number; the highest stands. null: nothing was ever scored. */
export async function streamLog(
  store: Store,
  stream: string,
): Promise<{ readonly number: number; readonly log: LogIdentity } | null> {
  let found: { readonly number: number; readonly log: LogIdentity } | null = null;
  for (let number = 0; ; number++) {
    const key = keys.streamLog(stream, number);
    const bytes = await getIfThere(store, key);
    if (bytes === null) return found;
    found = { number, log: decodeStreamLog(bytes, key) };
  }
}

/** From now on the stream goes on in `log`, which begins where its chains end. */
export async function succeedStreamLog(store: Store, stream: string, log: LogIdentity): Promise<void> {
  for (;;) {
    const before = await streamLog(store, stream);
    if (before !== null && isSameLog(before.log, log)) return;
    await store.putIfAbsent(keys.streamLog(stream, (before?.number ?? -1) + 1), encodeStreamLog(log));
  }
}

/**
 * The first log that a stream is scored from is its own for ever: offsets of another one would pass for archived, and its
 * images would never be scored. Throws E_LOG_RECREATED. `log` null: its brokers cannot tell which one it is.
 */
export async function assertStreamLog(store: Store, stream: string, log: LogIdentity | null): Promise<void> {
  if (log === null) return;
  for (;;) {
    const standing = await streamLog(store, stream);
    if (standing === null) {
      if ((await store.putIfAbsent(keys.streamLog(stream, 0), encodeStreamLog(log))) === "created") return;
      continue;
    }
    if (isSameLog(standing.log, log)) return;
    throw new SluiceError(
      "E_LOG_RECREATED",
      `Expected the log that stream "${stream}" was archived from (${nameOf(standing.log)}), found another one (${nameOf(log)}): ` +
        "what lies in it below the archive's end would pass for scored, and never be. Nothing of it was taken. " +
        (log.kind === "kafka"
          ? "The topic was deleted and made anew, or these are other brokers. Give the topic another stream name."
          : "Name another stream (`--set stream=NAME`), or let `sluice log rebuild` begin a log here where the archive ends."),
      { stream, expected: standing.log, found: log },
    );
  }
}

function nameOf({ kind, id }: LogIdentity): string {
  return kind === "kafka" ? `Kafka topic ${id}` : `embedded log ${id.slice(0, 8)}`;
}
