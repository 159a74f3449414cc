import { randomUUID } from "node:crypto";
import type { Log } from "../../connectors/log/log.js";
import type { Store } from "../../connectors/store/store.js";
import { storeIdentity } from "../../operators/archive/store-identity.js";
import { SluiceError } from "../../schemas/errors.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import { topicName } from "../../schemas/kafka-names.js";
import { decodeStreamStore, encodeStreamStore, type StreamStore } from "../../schemas/wire/stream-store.js";

export interface StreamStorePlace {
  readonly log: Pick<Log, "ends" | "fetch" | "append">;
  /** Its topic of this role says which store it is, and has one partition */
  readonly kafka: Pick<KafkaConfig, "prefix" | "topics">;
  readonly stream: string;
  readonly store: Store;
}

/**
 * All processes of a stream work on one store: what one of them archives elsewhere, the others would take for never scored, or for
 * scored. The first one tells the topic which store it is. Throws E_STORE_OTHER, E_CONFIG where another stream has the same names, and E_LOG_IO where
 * there is no such topic.
 */
export async function assertStreamStore(place: StreamStorePlace): Promise<void> {
  const { log, kafka, stream, store } = place;
  const id = await storeIdentity(store, randomUUID);
  let fault = await faultOf(place, id);
  if (fault === "untold") {
    const told = encodeStreamStore({ stream, store: id, place: store.place, timeMs: Date.now() });
    await log.append(kafka.topics.store, 0, [told]);
    // Another process may have told another one at the same time, and have come first.
    fault = await faultOf(place, id);
  }
  if (fault instanceof SluiceError) throw fault;
}

/** The same for those who only look: what is wrong, or null. */
export async function streamStoreFault(place: StreamStorePlace): Promise<SluiceError | null> {
  const fault = await faultOf(place, await storeIdentity(place.store, randomUUID));
  return fault instanceof SluiceError ? fault : null;
}

async function faultOf(place: StreamStorePlace, id: string): Promise<SluiceError | "untold" | null> {
  const { kafka, stream } = place;
  let told: StreamStore | null = null;
  for await (const one of toldOf(place)) {
    // Named after this stream, the topic is nobody else's: streams that are told of there have all names in common.
    if (one.stream !== stream && told === null && kafka.topics.store === topicName(kafka.prefix, stream, "store"))
      return otherStream(place, one);
    if (one.stream === stream) told ??= one;
  }
  if (told === null) return "untold";
  return told.store === id ? null : otherStore(place, told);
}

function otherStream({ kafka, stream }: StreamStorePlace, told: StreamStore): SluiceError {
  return new SluiceError(
    "E_CONFIG",
    `Expected topics and groups ${kafka.prefix}${stream}-… to be those of stream "${stream}" alone, found that stream "${told.stream}" has the same names (topic ${kafka.topics.store} says so since ${new Date(told.timeMs).toISOString()}): ` +
      "its prefix and its name make the same text. Nothing was done. Choose another kafka.prefix for one of them.",
    { stream, other: told.stream },
  );
}

function otherStore({ kafka, stream, store }: StreamStorePlace, told: StreamStore): SluiceError {
  const topic = kafka.topics.store;
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

async function* toldOf({ log, kafka }: StreamStorePlace): AsyncGenerator<StreamStore> {
  const topic = kafka.topics.store;
  const { start = 0, end = 0 } = (await log.ends(topic))[0] ?? {};
  for (let from = start; from < end; from += PAGE) {
    const offsets = Array.from({ length: Math.min(PAGE, end - from) }, (_, at) => from + at);
    for (const record of await log.fetch(topic, 0, offsets)) yield decodeStreamStore(record, { topic, partition: 0 });
  }
}
