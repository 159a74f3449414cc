import type { Log } from "../../connectors/log/log.js";
import type { Store } from "../../connectors/store/store.js";
import { assertStreamLog, type StreamLogQuestion } from "../../operators/archive/stream-log.js";
import { SluiceError } from "../../schemas/errors.js";
import type { LogIdentity } from "../../schemas/stream-log.js";
import { furthestArchived } from "./furthest-archived.js";
import { heldImages } from "./held-images.js";

/**
 * Before anything is appended: what would get offsets that are archived already would never be scored. Throws E_LOG_RECREATED
 * where the log is another one than the stream's, or ends before what any teacher has archived of it.
 */
export async function assertContinues(log: Log, store: Store, stream: string): Promise<void> {
  const { id } = await assertSameLog(log, store, stream, { always: true });
  const ends = await log.ends(stream);
  for (const [partition, chainEnd] of await furthestArchived(store, stream))
    // A topic loses no partition: the same one without it was made anew with fewer, and adopted so.
    if (id === null || partition < ends.length)
      await assertReaches(log, { stream, partition, chainEnd }, ends[partition]?.end ?? 0);
}

/** Throws E_LOG_RECREATED where the log is another one than a stream's; `always`: what it has is looked at, too. */
export async function assertSameLog(
  log: Log,
  store: Store,
  stream: string,
  how: Pick<StreamLogQuestion, "always" | "onUntold"> = {},
): Promise<LogIdentity> {
  const identity = await log.identity(stream);
  await assertStreamLog({ store, stream, log: identity, compare: () => heldImages(log, store, stream), ...how });
  return identity;
}

/**
 * `logEnd`: as it was when the log was asked last. Another scorer may have archived what came since: only a log that
 * still ends below is another one. Throws E_LOG_RECREATED.
 */
export async function assertReaches(
  log: Log,
  place: { readonly stream: string; readonly partition: number; readonly chainEnd: number },
  logEnd: number,
): Promise<void> {
  const { stream, partition, chainEnd } = place;
  if (chainEnd <= logEnd) return;
  const now = (await log.ends(stream))[partition]?.end ?? 0;
  if (chainEnd <= now) return;
  throw new SluiceError(
    "E_LOG_RECREATED",
    `Expected the log of ${stream}/${partition} to reach offset ${chainEnd}, where its archive ends, found its end at ${now}: ` +
      "the topic was deleted and made anew, or another log stands in its place. `sluice topics adopt` goes on with the new one, or give it another stream name; " +
      "of a log in the data folder, `sluice log rebuild` begins it where the archive ends.",
    { partition, chainEnd, logEnd: now },
  );
}
