import { counted } from "../../schemas/counted.js";
import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { SegmentLookup } from "../../operators/archive/segment-lookup.js";
import type { IndexRow } from "../../schemas/index-row.js";
import { labelIndex } from "../../operators/select/label-index.js";
import { versionLabels, type Manifest } from "../../schemas/manifest.js";
import { IndexGroups } from "./index-groups.js";
import { picturePage, type PageSection } from "./picture-page.js";
import { picturesOf, type PictureOptions, type ShownImage } from "./version-pictures.js";

/** Pictures of each line */
const SHOWN = 12;

export interface SheetOptions extends PictureOptions {
  /** Classes by name or `#number`; or how many, those of the lowest cut-off */
  readonly classes: readonly string[] | number;
}

/** A line of a class's sheet as it is printed without pictures. */
export interface SheetRow {
  readonly class: number;
  readonly label: string;
  readonly line: "best" | "median" | "at the cut-off" | "most doubtful";
  readonly rank: number;
  readonly sha256: string;
  /** null of a row by a label that the teacher did not archive in the class */
  readonly probability: number | null;
  /** What the teacher was in doubt of: how much surer it was of its best class than of the next; null where that is not looked at */
  readonly margin: number | null;
  readonly uri: string;
}

/**
 * What one looks at to judge a version: of each class the best rows, those in the middle, the last ones, and those where the teacher's two best
 * classes were nearest to each other. Throws E_SELECTION for a class that is not there, E_VERSION_CORRUPT, E_STORE_IO; E_CHAIN_GAP and E_SEGMENT_CORRUPT where archived rows cannot be read.
 */
export async function versionSheet(
  store: Store,
  manifest: Manifest,
  options: SheetOptions,
): Promise<{ readonly rows: readonly SheetRow[]; readonly page: string }> {
  const groups = new IndexGroups(store);
  const sheets: SheetRow[] = [];
  const images: ShownImage[] = [];
  const sections: PageSection[] = [];
  for (const index of classesOf(manifest, options.classes)) {
    const { label, count, repeated, k, worst } = manifest.classes[index]!;
    const rows = await groups.rowsOf(manifest, index, 0, count - repeated);
    const margins = await marginsOf(store, manifest, rows);
    const middle = Math.max(0, Math.floor((rows.length - SHOWN) / 2));
    const lines: Record<SheetRow["line"], readonly IndexRow[]> = {
      best: rows.slice(0, SHOWN),
      median: rows.slice(middle, middle + SHOWN),
      "at the cut-off": rows.slice(-SHOWN).toReversed(),
      "most doubtful": rows
        .filter(({ sha256 }) => margins.has(sha256))
        .toSorted((a, b) => margins.get(a.sha256)! - margins.get(b.sha256)! || a.rank - b.rank)
        .slice(0, SHOWN),
    };
    for (const [line, picked] of Object.entries(lines) as [SheetRow["line"], readonly IndexRow[]][]) {
      images.push(...picked);
      for (const { rank, sha256, probability, uri } of picked)
        sheets.push({ class: index, label, line, rank, sha256, probability, margin: margins.get(sha256) ?? null, uri });
    }
    sections.push({
      title: label,
      lead: `${rows.length} of ${counted(k, "row")}, cut-off ${worst === null ? "none" : worst.toPrecision(4)}`,
      lines: Object.entries(lines).map(([name, picked]) => ({
        name,
        total: picked.length,
        cells: picked.map(({ rank, sha256, probability, by }) => ({
          sha256,
          caption: `rank ${rank}, ${by === "label" ? "by label" : (probability ?? 0).toPrecision(4)}`,
          because: margins.has(sha256) ? `${margins.get(sha256)!.toPrecision(2)} before its next class` : "",
        })),
      })),
    });
  }
  const pictures = await picturesOf(images, options);
  const page = picturePage(
    {
      title: `${manifest.dataset}, version ${manifest.number}`,
      lead: [
        `Id ${manifest.id.slice(0, 12)}; ${counted(manifest.totals.rows, "row")} of ${counted(manifest.totals.images, "image")}.`,
      ],
      sections,
    },
    pictures,
  );
  return { rows: sheets, page };
}

function classesOf(manifest: Manifest, wanted: SheetOptions["classes"]): number[] {
  const labels = versionLabels(manifest);
  if (typeof wanted !== "number") return wanted.map((name) => labelIndex({ labels }, name, "--classes"));
  return manifest.classes
    .filter(({ count }) => count > 0)
    .toSorted((a, b) => (a.worst ?? 0) - (b.worst ?? 0) || a.class - b.class)
    .slice(0, wanted)
    .map((one) => one.class);
}

/** How much more probable the teacher's best class is than its next, by digest. */
async function marginsOf(store: Store, manifest: Manifest, rows: readonly IndexRow[]): Promise<Map<string, number>> {
  const { teacher, provenance } = manifest;
  const archive = new ArchiveReader(store, { teacher: teacher.digest, stream: provenance.stream });
  const margins = new Map<string, number>();
  for (const chain of await archive.chains()) {
    const own = rows
      .filter(({ partition, offset }) => partition === chain.partition && offset >= chain.origin)
      .toSorted((a, b) => a.offset - b.offset);
    if (own.length === 0) continue;
    const lookup = await SegmentLookup.open(archive.chain(chain), own.length);
    for (const { offset, sha256 } of own) {
      const digest = Buffer.from(sha256, "hex");
      const found = await lookup.find(offset, (batch, row) =>
        digest.equals(batch.digest.subarray(32 * row, 32 * row + 32)),
      );
      if (found === null || found.batch.topM < 2) continue;
      const { keys, topM } = found.batch;
      margins.set(sha256, Math.exp(keys[found.row * topM]!) - Math.exp(keys[found.row * topM + 1]!));
    }
  }
  return margins;
}
