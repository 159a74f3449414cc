import type { Store } from "../../connectors/store/store.js";

/** A store that counts what it is asked; a listing is one request for each thousand keys, as S3 has it. */
export class CountedStore {
  readonly store: Store;
  requests = 0;

  constructor(inner: Store) {
    const count = (): void => {
      this.requests++;
    };
    this.store = {
      place: inner.place,
      putIfAbsent: (key, bytes) => (count(), inner.putIfAbsent(key, bytes)),
      put: (key, bytes) => (count(), inner.put(key, bytes)),
      putStream: (key, chunks) => (count(), inner.putStream(key, chunks)),
      get: (key) => (count(), inner.get(key)),
      ...(inner.getInto === undefined
        ? {}
        : { getInto: (key, room, range) => (count(), inner.getInto!(key, room, range)) }),
      getRange: (key, start, end) => (count(), inner.getRange(key, start, end)),
      getStream: (key) => (count(), inner.getStream(key)),
      head: (key) => (count(), inner.head(key)),
      list: async function* (prefix, options) {
        let keys = 0;
        count();
        for await (const object of inner.list(prefix, options)) {
          if (keys > 0 && keys % KEYS_A_PAGE === 0) count();
          keys++;
          yield object;
        }
      },
      delete: (key) => (count(), inner.delete(key)),
      locate: (key) => inner.locate(key),
      close: () => inner.close(),
    };
  }
}

const KEYS_A_PAGE = 1000;
