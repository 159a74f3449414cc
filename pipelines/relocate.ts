import { liesBelow, placeNamed, relocatedUri, shownPlace } from "../connectors/source/relocated-uri.js";
import type { ImageOpener } from "../connectors/source/source.js";
import type { Store } from "../connectors/store/store.js";
import { ArchiveReader } from "../operators/archive/archive-reader.js";
import { addRelocation, readRelocations } from "../operators/archive/relocations.js";
import { readCards } from "../operators/archive/teacher-registry.js";
import { counted } from "../schemas/counted.js";
import { sha256Hex } from "../schemas/canonical.js";
import { SluiceError } from "../schemas/errors.js";
import type { Relocation } from "../schemas/relocation.js";
import { DIGEST_BYTES } from "../schemas/scored-batch.js";

export interface RelocateOptions {
  readonly store: Store;
  readonly stream: string;
  /** Opens uris as they are, without any relocation */
  readonly opener: ImageOpener;
  /** Absolute paths, or `s3://bucket/prefix/` */
  readonly before: string;
  readonly after: string;
  /** Look, and write nothing */
  readonly dryRun: boolean;
  readonly nowMs: number;
  readonly signal?: AbortSignal;
}

export interface Relocated extends Pick<Relocation, "from" | "to"> {
  /** null: nothing was written */
  readonly number: number | null;
  /** Archived records whose image was seen below `from`, or was relocated there; refused ones with them */
  readonly known: number;
  /** How many of them were looked for below `to` */
  readonly looked: number;
  /** How many of those are there with the same bytes */
  readonly found: number;
}

/** Images that are looked for: enough to tell a wrong place from one where some are missing. */
const LOOKED_FOR = 64;

interface Known {
  readonly uri: string;
  /** null of a refused record that was never read */
  readonly sha256: string | null;
  readonly sizeBytes: number;
}

/**
 * Writes down that what lay below one place lies below another now, after making sure that at least one image which was seen
 * there is there, with its digest. Throws E_SOURCE_MISSING where no image was seen below the old place, or none is at the new one.
 */
export async function relocate(options: RelocateOptions): Promise<Relocated> {
  const { store, opener, dryRun, nowMs } = options;
  const [from, to] = [placeNamed(options.before), placeNamed(options.after)];
  const before = await readRelocations(store);
  let known = 0;
  const probes: Known[] = [];
  for await (const one of knownBelow(options, from, before)) {
    known++;
    // One in so many over all of them, so that a shard or a folder that stayed behind does not decide alone.
    if (probes.length < LOOKED_FOR) probes.push(one);
    else if (known % LOOKED_FOR === 0) probes[(known / LOOKED_FOR) % LOOKED_FOR] = one;
  }
  if (known === 0) {
    throw new SluiceError(
      "E_SOURCE_MISSING",
      `Expected images that were seen below ${shownPlace(from)}, found none in ${store.place}. \`sluice versions show latest\` names a version, ` +
        "whose index says in the column uri where its images were seen: name that place.",
      { from, to },
    );
  }
  const looked = probes.flatMap(({ uri, ...one }) => {
    const moved = relocatedUri(uri, { from, to });
    return moved === null ? [] : [{ ...one, uri: moved }];
  });
  let found = 0;
  for await (const { at, image } of opener.openMany(looked)) {
    const { sha256 } = looked[at]!;
    if (image instanceof Uint8Array && (sha256 === null || sha256Hex(image) === sha256)) found++;
  }
  if (found === 0) {
    throw new SluiceError(
      "E_SOURCE_MISSING",
      `Expected at ${shownPlace(to)} at least one of the ${counted(known, "image")} seen below ${shownPlace(from)}, found none of the ${probes.length} ` +
        `looked for, such as ${relocatedUri(probes[0]!.uri, { from, to }) ?? `a place for ${probes[0]!.uri}`}. Nothing was written down. Name the place that takes the old one's part in each path.`,
      { from, to, known, looked: probes.length, found },
    );
  }
  const number = dryRun ? null : await addRelocation(store, { from, to, atMs: nowMs });
  return { from, to, number, known, looked: probes.length, found };
}

/** Archived records below a place, by the uri that they were seen at or that an earlier relocation gave them. */
async function* knownBelow(
  { store, stream, signal }: RelocateOptions,
  from: string,
  before: readonly Relocation[],
): AsyncGenerator<Known, void, undefined> {
  const now = (uri: string): string => before.reduce((at, one) => relocatedUri(at, one) ?? at, uri);
  // What is missing of the archive is `verify`'s to say; its images are not looked for.
  const passOver = (): void => undefined;
  for (const teacher of (await readCards(store)).keys()) {
    const archive = new ArchiveReader(store, { teacher, stream });
    for (const chain of await archive.chains()) {
      const end = await archive.chain(chain).end(chain.origin, passOver);
      for await (const { header, batch } of archive.segments(chain, chain.origin, end, passOver)) {
        signal?.throwIfAborted();
        for (let row = 0; row < batch.count; row++) {
          const uri = now(batch.uri.get(row) ?? "");
          if (!liesBelow(uri, from)) continue;
          const digest = batch.digest.subarray(row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES);
          yield { uri, sha256: Buffer.from(digest).toString("hex"), sizeBytes: batch.sizeBytes[row]! };
        }
        for (const { uri, sha256 } of header.rejected) {
          if (liesBelow(now(uri), from)) yield { uri: now(uri), sha256, sizeBytes: Number.MAX_SAFE_INTEGER };
        }
      }
    }
  }
}

/** What has been relocated so far, for people, in the order in which it was said. */
export async function listRelocations(store: Store): Promise<Relocation[]> {
  return (await readRelocations(store)).map(({ from, to, atMs }) => ({
    from: shownPlace(from),
    to: shownPlace(to),
    atMs,
  }));
}
