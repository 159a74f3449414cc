/** What requests are signed with. */
export interface S3Keys {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken?: string | undefined;
  /** ms since the epoch; null: nobody says */
  readonly expiresMs: number | null;
}

/** Keys that change while a process runs. */
export interface KeySource {
  /** Those to sign with now. Throws E_STORE_ACCESS, E_STORE_IO. */
  keys(): Promise<S3Keys>;
  /** The store has refused them: the next ones are read, whatever these say of their end. */
  forget(): void;
}

/** Keys are read anew when so little of their life is left, or half of it, whichever is less, ms */
const LEFT_MS = 5 * 60_000;
/** Those that do not say when they end: a file may be written anew at any time, ms */
const READ_AGAIN_MS = 30_000;
/** Where nobody gave new ones, those that are held are used for so long before the next look, ms */
const LOOK_AGAIN_MS = 15_000;

/** Reads keys when they are first needed, and again before they end; calls at the same time share a read. */
export function renewedKeys(read: () => Promise<S3Keys>, nowMs: () => number): KeySource {
  let known: { readonly keys: S3Keys; renewMs: number } | null = null;
  let reading: Promise<S3Keys> | null = null;
  const readNow = async (): Promise<S3Keys> => {
    const readMs = nowMs();
    const keys = await read();
    const { expiresMs } = keys;
    const renewMs =
      expiresMs === null ? readMs + READ_AGAIN_MS : expiresMs - Math.min(LEFT_MS, (expiresMs - readMs) / 2);
    known = { keys, renewMs };
    return keys;
  };
  return {
    async keys() {
      const held = known;
      if (held !== null && nowMs() < held.renewMs) return held.keys;
      reading ??= readNow().finally(() => {
        reading = null;
      });
      try {
        return await reading;
      } catch (error) {
        // Who gives keys may be away, or a file be half written: those that are held still open the store, until it refuses them.
        if (held === null || known !== held || nowMs() >= (held.keys.expiresMs ?? Infinity)) throw error;
        held.renewMs = nowMs() + LOOK_AGAIN_MS;
        return held.keys;
      }
    },
    forget() {
      known = null;
    },
  };
}
