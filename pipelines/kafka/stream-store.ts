import { randomUUID } from "node:crypto";
import type { Log } from "../../connectors/log/log.js";
import type { Store } from "../../connectors/store/store.js";
import { storeIdentity } from "../../operators/archive/store-identity.js";
import { SluiceError } from "../../schemas/errors.js";
import { decodeStreamStore, encodeStreamStore, type StreamStore } from "../../schemas/wire/stream-store.js";

export interface StreamStorePlace {
  readonly log: Pick<Log, "ends" | "fetch" | "append">;
  /** The topic that says which store it is, of one partition */
  readonly topic: string;
  readonly stream: string;
  readonly store: Store;
}

/**
 * All processes of a stream work on one store: what one of them archives elsewhere, the others would take for never scored, or for
 * scored. The first one tells the topic which store it is. Throws E_STORE_OTHER, and E_LOG_IO where there is no such topic.
 */
export async function assertStreamStore(place: StreamStorePlace): Promise<void> {
  const { log, topic, stream, store } = place;
  const id = await storeIdentity(store, randomUUID);
  let told = await firstTold(place);
  if (told === null) {
    await log.append(topic, 0, [encodeStreamStore({ stream, store: id, place: store.place, timeMs: Date.now() })]);
    // Another process may have told another one at the same time, and have come first.
    told = await firstTold(place);
  }
  const fault = told === null || told.store === id ? null : otherStore(place, told);
  if (fault !== null) throw fault;
}

/** The same for those who only look: what is wrong, or null. */
export async function streamStoreFault(place: StreamStorePlace): Promise<SluiceError | null> {
  const told = await firstTold(place);
  return told === null || told.store === (await storeIdentity(place.store, randomUUID))
    ? null
    : otherStore(place, told);
}

function otherStore({ topic, stream, store }: StreamStorePlace, told: StreamStore): SluiceError {
  return new SluiceError(
    "E_STORE_OTHER",
    `Expected the store that stream "${stream}" is archived in (${told.place}, says topic ${topic} since ${new Date(told.timeMs).toISOString()}), found another one, ${store.place}. ` +
      "Nothing was done. Set s3: (or SLUICE_S3__…) as the stream's other processes have it. Another site on the same topics wants a `kafka.prefix` of its own; " +
      `where the old store is gone for good, delete topic ${topic} and make it anew.`,
    { stream, expected: told.store, told: told.place, found: store.place },
  );
}

/** How many records are asked for at a time. */
const PAGE = 100;

async function firstTold({ log, topic, stream }: StreamStorePlace): Promise<StreamStore | null> {
  const { start = 0, end = 0 } = (await log.ends(topic))[0] ?? {};
  for (let from = start; from < end; from += PAGE) {
    const offsets = Array.from({ length: Math.min(PAGE, end - from) }, (_, at) => from + at);
    for (const record of await log.fetch(topic, 0, offsets)) {
      const told = decodeStreamStore(record, { topic, partition: 0 });
      if (told.stream === stream) return told;
    }
  }
  return null;
}
