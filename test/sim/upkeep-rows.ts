import { ChainReader } from "../../operators/archive/chain-reader.js";
import { decodeManifest } from "../../operators/version/manifests.js";
import { readIndex } from "../../pipelines/versions/index-reader.js";
import { sha256Hex } from "../../schemas/canonical.js";
import { ERASED_URI } from "../../schemas/erased.js";
import { messageOf } from "../../schemas/errors.js";
import type { Manifest } from "../../schemas/manifest.js";
import { decodeRedaction } from "../../schemas/redaction.js";
import { BYTES, DIGEST_BYTES } from "../../schemas/scored-batch.js";
import type { Rejected } from "../../schemas/segment.js";
import { readLabels, type ArchivedChain, type ArchivedRow, type ArchivedSegment } from "./model.js";
import { hasMember } from "./pack-model.js";
import type { Place } from "./participants.js";
import { imageOf, uriOf } from "./sim-teacher.js";

/** A manifest with the files that its redactions say, read without any of the code that applies them. */
export function standingManifest({ store }: Place, manifest: Manifest): Manifest {
  const { dataset, number } = manifest;
  const files = new Map(manifest.files.map((file) => [file.key, file]));
  const folder = `versions/${dataset}/${number}/redactions/`;
  const keys = [...store.objects.keys()].filter((key) => key.startsWith(folder)).sort();
  for (const [at, key] of keys.entries())
    for (const file of decodeRedaction(store.objects.get(key)!, dataset, number, at + 1).files)
      files.set(file.key, file);
  return { ...manifest, files: [...files.values()] };
}

/** The packs that rows name, by digest. */
export function packsByDigest(rows: readonly ArchivedRow[]): Map<string, Set<string>> {
  const packs = new Map<string, Set<string>>();
  for (const { sha256, pack } of rows) if (pack !== null) packs.set(sha256, (packs.get(sha256) ?? new Set()).add(pack));
  return packs;
}

/** Images of versions, and labelled ones, whose bytes stand now: a collector must leave them. */
export async function keptForGood(place: Place, chains: readonly ArchivedChain[]): Promise<Set<string>> {
  const { store, erased } = place;
  const packs = packsByDigest(chains.flatMap(({ segments }) => segments.flatMap(({ rows }) => rows)));
  const wanted = new Set(readLabels(store.objects).flatMap(({ labels }) => labels.map(({ sha256 }) => sha256)));
  for (const [key, bytes] of store.objects) {
    if (!key.endsWith("/manifest.json")) continue;
    for await (const { sha256 } of readIndex(store.memory, standingManifest(place, decodeManifest(bytes, key))))
      wanted.add(sha256);
  }
  return new Set(
    [...wanted].filter(
      (one) => !erased.has(one) && [...(packs.get(one) ?? [])].some((pack) => hasMember(store.objects, pack, one)),
    ),
  );
}

/** The row as it is once its image was erased. */
export function withoutErased<Row extends Pick<ArchivedRow, "sha256" | "bytes" | "pack">>(
  row: Row,
  { erased }: Pick<Place, "erased">,
): Row {
  return erased.has(row.sha256) ? { ...row, bytes: BYTES.absent, pack: null, licence: null, origin: null } : row;
}

/** What a refused record says of itself that was never read: its digest is not known, and its reason may name its uri. */
const UNREAD = /"reason":"(?:[^"\\]|\\.)*","sha256":null,"uri":"[^"]*"/g;

/**
 * A segment as it reads once images of it were erased. Where a record was refused unread, an erasure knows it by the uri, if another row
 * still said that: `unread` are those that read as erased now.
 */
export function segmentWithoutErased(
  segment: ArchivedSegment,
  place: Pick<Place, "erased">,
  unread: ReadonlySet<number>,
): ArchivedSegment {
  const { header, rows } = segment;
  const isErased = ({ sha256, offset }: Rejected): boolean =>
    sha256 === null ? unread.has(offset) : place.erased.has(sha256);
  return {
    ...segment,
    header: {
      ...header,
      rejected: header.rejected.map((one) =>
        isErased(one) && one.uri !== ERASED_URI ? { ...one, uri: ERASED_URI, reason: "The image was erased." } : one,
      ),
    },
    rows: rows.map((row) => withoutErased(row, place)),
  };
}

/** Once all has come to its end, no object has bytes of an erased image or says where it lay. */
export async function checkErased(place: Place, images: number, chains: readonly ArchivedChain[]): Promise<void> {
  const { world, store, erased, undecided, config } = place;
  if (erased.size === 0) return;
  for (let image = 0; image < images; image++) {
    const bytes = Buffer.from(imageOf(image));
    if (!erased.has(sha256Hex(bytes))) continue;
    const wanted = [bytes, Buffer.from(uriOf(image)), Buffer.from(`file:///sim/inline/${image}.png`)];
    for (const [key, found] of store.objects) {
      if ([...undecided].some((one) => key.startsWith(one))) continue;
      const text = Buffer.from(found).toString("latin1").replaceAll(UNREAD, "");
      if (wanted.some((one) => text.includes(one.toString("latin1"))))
        world.violate("erased", `${key} has image ${image} still`);
    }
  }
  for (const { teacher, partition, origin } of chains) {
    const reader = new ChainReader(store.memory, { teacher, stream: config.stream, partition, origin });
    try {
      for await (const { batch } of reader.segments(origin, await reader.end(origin))) {
        for (let row = 0; row < batch.count; row++) {
          const digest = batch.digest.subarray(row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES);
          const uri = batch.uri.get(row);
          if (erased.has(Buffer.from(digest).toString("hex")) && uri !== ERASED_URI)
            world.violate("erased", `${partition}@${origin} says of ${batch.offset[row]} that it lay at ${uri}`);
        }
      }
    } catch (error) {
      world.violate("erased", `${partition}@${origin} cannot be read: ${messageOf(error)}`);
    }
  }
}
