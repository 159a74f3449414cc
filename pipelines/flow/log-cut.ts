import type { EmbeddedLog } from "../../connectors/log/embedded/embedded-log.js";
import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { readClaims } from "../../operators/archive/chain-claims.js";
import type { ChainReader } from "../../operators/archive/chain-reader.js";
import { readCards } from "../../operators/archive/teacher-registry.js";
import { readDeclarations } from "../../operators/version/declarations.js";
import type { ChainClaim } from "../../schemas/chain-claim.js";
import type { Config } from "../../schemas/config.js";
import { keys } from "../../schemas/keys.js";
import type { Rejected } from "../../schemas/segment.js";

export interface CutLogOptions {
  readonly log: Pick<EmbeddedLog, "ends" | "offsetsAt" | "offsetsWithin" | "truncate" | "forgetSpared">;
  readonly store: Store;
  readonly stream: string;
  /** Digest of the teacher that scores here, whether it is the declared one or not */
  readonly teacher: string;
  readonly retention: Config["log"];
  readonly nowMs: () => number;
}

/**
 * Forgets what the log need not keep: records that `log.retention…` gives up, below what a declared teacher's chain or an open
 * replay has still to score, and below any damage in the archive, which is mended from the log. Quarantined records are spared, so
 * that a retry finds them. What is cut is lost to later teachers.
 */
export class LogCut {
  readonly #options: CutLogOptions;
  readonly #archives = new Map<string, ArchiveReader>();
  /** By chain, a boundary up to which its headers were looked at for quarantined records; those below it are spared, or taken up again */
  readonly #looked = new Map<string, number>();
  /** By chain, where it ended when it was looked at last */
  readonly #ends = new Map<string, number>();

  constructor(options: CutLogOptions) {
    this.#options = options;
  }

  /** Returns how many offsets were forgotten. */
  async cut(): Promise<number> {
    const { log, stream } = this.#options;
    const wanted = await this.#givenUp();
    const before = await log.ends(stream);
    if (wanted.every((offset, partition) => offset <= before[partition]!.start)) return 0;
    const claims = await this.#claims();
    const needed = await this.#needed(claims);
    let forgotten = 0;
    for (const [partition, { start }] of before.entries()) {
      const floor = needed[partition]!;
      const found = await this.#quarantined(claims, partition, start, Math.min(wanted[partition]!, floor));
      if (found.until <= start) continue;
      await log.truncate(stream, partition, { before: found.until, spare: found.rejected });
      await log.forgetSpared(stream, partition, [...found.retried]);
      for (const { name, reader, end } of found.looks)
        this.#looked.set(name, end <= found.until ? end : await reader.boundaryAtOrBelow(found.until));
      forgotten += found.until - start;
    }
    return forgotten;
  }

  /** By partition, what lies below is older or more than the log is to keep. */
  async #givenUp(): Promise<readonly number[]> {
    const { log, stream, retention, nowMs } = this.#options;
    const { retentionMs, retentionBytes } = retention;
    const none = (await log.ends(stream)).map(({ start }) => start);
    const older = retentionMs === undefined ? none : await log.offsetsAt(stream, nowMs() - retentionMs);
    const beyond = retentionBytes === undefined ? none : await log.offsetsWithin(stream, retentionBytes / none.length);
    return none.map((start, partition) => Math.max(start, older[partition]!, beyond[partition]!));
  }

  async #claims(): Promise<readonly TeacherClaims[]> {
    const { store, stream, teacher } = this.#options;
    const declared = (await readDeclarations(store, stream)).settings?.teacher?.digest;
    const all: TeacherClaims[] = [];
    for (const digest of (await readCards(store)).keys()) {
      const claims = await readClaims(store, { teacher: digest, stream });
      all.push({ digest, claims, isLive: digest === teacher || digest === declared });
    }
    return all;
  }

  /** By partition, the first offset that a live chain or an open replay has not archived. */
  async #needed(teachers: readonly TeacherClaims[]): Promise<number[]> {
    const needed = (await this.#options.log.ends(this.#options.stream)).map(({ end }) => end);
    for (const { digest, claims, isLive } of teachers) {
      for (const claim of claims) {
        if ((claim.end === null && !isLive) || needed[claim.partition] === undefined) continue;
        const end = await this.#endOf(digest, claim);
        if (claim.end === null || end < claim.end) needed[claim.partition] = Math.min(needed[claim.partition]!, end);
      }
    }
    return needed;
  }

  async #endOf(teacher: string, claim: ChainClaim): Promise<number> {
    const reader = this.#reader(teacher, claim);
    const name = keys.chain(reader.chain);
    const from = this.#ends.get(name) ?? claim.origin;
    // A gap is met by `#quarantined`, and nothing from there on is cut.
    const end = await reader.end(from, () => undefined);
    this.#ends.set(name, end);
    return end;
  }

  #reader(teacher: string, claim: ChainClaim): ChainReader {
    let archive = this.#archives.get(teacher);
    if (archive === undefined) {
      const { store, stream } = this.#options;
      this.#archives.set(teacher, (archive = new ArchiveReader(store, { teacher, stream })));
    }
    return archive.chain(claim);
  }

  /**
   * What any teacher's chains have refused of [start, until), and which earlier ones were taken up again there. `until` falls to
   * where a chain cannot be read.
   */
  async #quarantined(
    teachers: readonly TeacherClaims[],
    partition: number,
    start: number,
    until: number,
  ): Promise<Quarantined> {
    const found: Quarantined = { until, rejected: new Set(), retried: new Set(), looks: [] };
    for (const { digest, claims } of teachers) {
      for (const claim of claims) {
        if (claim.partition !== partition || claim.origin >= until || (claim.end ?? Infinity) <= start) continue;
        const reader = this.#reader(digest, claim);
        const name = keys.chain(reader.chain);
        let at = this.#looked.get(name) ?? (await reader.boundaryAtOrBelow(Math.max(start, claim.origin)));
        this.#looked.set(name, at);
        const onGap = (gap: { readonly start: number }): void => {
          found.until = Math.min(found.until, gap.start);
        };
        for await (const header of reader.headers(at, undefined, onGap)) {
          if (header.start >= found.until) break;
          for (const one of header.rejected) {
            // Taken up again and refused once more: the later record is the one that the next retry takes.
            if (one.retryOf !== null) found.retried.add(one.retryOf);
            if (isRetriable(one)) found.rejected.add(one.offset);
          }
          for (const offset of header.retried) found.retried.add(offset);
          if (header.end <= found.until) at = header.end;
        }
        found.looks.push({ name, reader, end: at });
      }
    }
    for (const offset of found.retried) found.rejected.delete(offset);
    return found;
  }
}

interface TeacherClaims {
  readonly digest: string;
  readonly claims: readonly ChainClaim[];
  /** Its live chains are to have every record */
  readonly isLive: boolean;
}

interface Quarantined {
  until: number;
  readonly rejected: Set<number>;
  readonly retried: Set<number>;
  /** Of each chain, a boundary up to which its headers were looked at; it may lie behind `until`, which another chain's damage lowers */
  readonly looks: { readonly name: string; readonly reader: ChainReader; readonly end: number }[];
}

/** A record that breaks the wire format is appended by its producer anew, never from the log. */
function isRetriable({ code }: Rejected): boolean {
  return code !== "E_RECORD_SCHEMA";
}
