import type { Broker } from "kafkajs";

/** What the client's `Broker` has beyond its types */
interface Connected {
  readonly versions: Readonly<Record<number, { readonly maxVersion: number } | undefined>> | null;
  readonly connectionPool: {
    send<T>(protocol: {
      readonly request: { apiKey: number; apiVersion: number; apiName: string; encode: () => Promise<EncodedBody> };
      readonly response: { decode: (payload: Buffer) => T; parse: (decoded: T) => T };
    }): Promise<T>;
  };
}

/** What the client writes behind a request's header */
interface EncodedBody {
  readonly buf: Buffer;
  readonly buffer: Buffer;
  size(): number;
}

/** A request of Kafka's protocol that the client does not speak, or not in that version. */
export interface RawRequest<T> {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly apiName: string;
  /** Behind the header, tags of a flexible one included */
  readonly body: Buffer;
  readonly decode: (payload: Buffer) => T;
}

/** The answer; null where the broker does not speak that version. */
export async function rawRequest<T>(broker: Broker, request: RawRequest<T>): Promise<T | null> {
  const { apiKey, apiVersion, apiName, body, decode } = request;
  const { versions, connectionPool } = broker as unknown as Connected;
  const known = versions === null ? undefined : versions[apiKey];
  if (known === undefined || known.maxVersion < apiVersion) return null;
  return connectionPool.send<T>({
    request: {
      apiKey,
      apiVersion,
      apiName,
      encode: () => Promise.resolve({ buf: body, buffer: body, size: () => body.length }),
    },
    response: { decode, parse: (told) => told },
  });
}

/** Reads an answer from its beginning on. */
export class AnswerReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  skip(count: number): void {
    this.#at += count;
  }

  bytes(count: number): Buffer {
    const taken = this.#bytes.subarray(this.#at, this.#at + count);
    this.skip(count);
    return taken;
  }

  int16(): number {
    return this.bytes(2).readInt16BE();
  }

  int32(): number {
    return this.bytes(4).readInt32BE();
  }
}
