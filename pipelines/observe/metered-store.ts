import type { ByteRange, ListOptions, Store } from "../../connectors/store/store.js";
import { codeOf } from "../../schemas/errors.js";

export interface StoreRequest {
  readonly op: "get" | "range" | "put" | "create" | "stream" | "list" | "head" | "delete";
  /** `absent` and `exists` are answers, not failures */
  readonly outcome: "ok" | "absent" | "exists" | "failed";
  readonly seconds: number;
}

/** The same store, which tells of each request when it is over. */
export function meteredStore(store: Store, onRequest: (request: StoreRequest) => void): Store {
  const told = async <T>(
    op: StoreRequest["op"],
    request: Promise<T>,
    of?: (answer: T) => StoreRequest["outcome"],
  ): Promise<T> => {
    const beganMs = performance.now();
    const tell = (outcome: StoreRequest["outcome"]): void => {
      onRequest({ op, outcome, seconds: (performance.now() - beganMs) / 1000 });
    };
    try {
      const answer = await request;
      tell(of?.(answer) ?? "ok");
      return answer;
    } catch (error) {
      tell(codeOf(error) === "E_STORE_MISSING" ? "absent" : "failed");
      throw error;
    }
  };
  /** A caller that stops early has had what it wanted. */
  async function* toldOf<T>(op: StoreRequest["op"], items: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
    const beganMs = performance.now();
    let outcome: StoreRequest["outcome"] = "ok";
    try {
      yield* items;
    } catch (error) {
      outcome = codeOf(error) === "E_STORE_MISSING" ? "absent" : "failed";
      throw error;
    } finally {
      onRequest({ op, outcome, seconds: (performance.now() - beganMs) / 1000 });
    }
  }
  return {
    place: store.place,
    putIfAbsent: (key, bytes) =>
      told("create", store.putIfAbsent(key, bytes), (made) => (made === "exists" ? "exists" : "ok")),
    put: (key, bytes) => told("put", store.put(key, bytes)),
    putStream: (key, chunks) => told("put", store.putStream(key, chunks)),
    get: (key) => told("get", store.get(key)),
    ...(store.getInto === undefined
      ? {}
      : {
          getInto: (key: string, room: (sizeBytes: number) => Uint8Array, range?: ByteRange) =>
            told(range === undefined ? "get" : "range", store.getInto!(key, room, range)),
        }),
    getRange: (key, start, end) => told("range", store.getRange(key, start, end)),
    getStream: (key) => toldOf("stream", store.getStream(key)),
    head: (key) => told("head", store.head(key), (found) => (found === null ? "absent" : "ok")),
    list: (prefix: string, options?: ListOptions) => toldOf("list", store.list(prefix, options)),
    delete: (key) => told("delete", store.delete(key)),
    locate: (key) => store.locate(key),
    ...(store.scratch === undefined ? {} : { scratch: () => store.scratch!() }),
    ...(store.keepsOld === undefined ? {} : { keepsOld: () => store.keepsOld!() }),
    ...(store.purgeOld === undefined ? {} : { purgeOld: (prefixes: readonly string[]) => store.purgeOld!(prefixes) }),
    close: () => store.close(),
  };
}
