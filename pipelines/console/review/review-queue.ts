import { counted } from "../../../schemas/counted.js";
import { createHash } from "node:crypto";
import type { Store } from "../../../connectors/store/store.js";
import type { Review, ReviewItem } from "../../../schemas/api/images.js";
import type { ImageLabel } from "../../../schemas/image-label.js";
import type { IndexRow } from "../../../schemas/index-row.js";
import type { Manifest } from "../../../schemas/manifest.js";
import { listQuarantine } from "../../quarantine/quarantine.js";
import type { IndexGroups } from "../../versions/index-groups.js";
import type { MeantClasses } from "../../versions/meant-classes.js";
import type { LowConfidenceQueue } from "./low-confidence.js";

/** Rows of an audit: enough for an interval of some 3 % */
export const AUDIT_ROWS = 400;
/** Rows a class that are doubtful: its last ones */
const DOUBTFUL_A_CLASS = 8;
/** Classes whose last rows are read for one queue, the most doubtful: 10,000 classes would read the whole index */
const DOUBTFUL_CLASSES = 200;

type Said = ReadonlyMap<string, readonly ImageLabel[]>;
interface Page {
  readonly from: number;
  readonly limit: number;
}

/** The last rows of a version's classes, the nearest to their cut-off first: what a teacher was least sure of and chose. */
export async function doubtful(groups: IndexGroups, manifest: Manifest, said: Said, page: Page): Promise<Review> {
  const classes = manifest.classes
    .filter(({ count }) => count > 0)
    .sort((a, b) => (a.worst ?? 1) - (b.worst ?? 1) || a.class - b.class)
    .slice(0, DOUBTFUL_CLASSES);
  const rows: IndexRow[] = [];
  for (const { class: index, count, repeated } of classes) {
    // Repeats stand behind all of them.
    const end = count - repeated;
    rows.push(...(await groups.rowsOf(manifest, index, Math.max(0, end - DOUBTFUL_A_CLASS), end)));
  }
  rows.sort((a, b) => (a.probability ?? 1) - (b.probability ?? 1) || a.class - b.class || b.rank - a.rank);
  const items = rows
    .filter(({ repeat, by }) => repeat === 0 && by === "teacher")
    .map((row) =>
      itemOf(manifest, row, said, `the teacher gave it ${percent(row.probability ?? 0)}, among the least of its class`),
    );
  return queue("doubtful", items, page);
}

/** Rows of a version drawn evenly, the same ones each time (`DrawnRows`): how right the version is, as far as people have judged. */
export function audit(
  rows: readonly IndexRow[],
  manifest: Manifest,
  { said, meant }: { readonly said: Said; readonly meant: MeantClasses },
  page: Page,
): Review {
  const items = rows.map((row) =>
    itemOf(
      manifest,
      row,
      said,
      `drawn at random from ${counted(manifest.totals.rows, "row")} of version ${manifest.number}`,
    ),
  );
  const verdicts = rows.flatMap((row) => {
    const right = meant.isRight(said.get(row.sha256), row.class);
    return right === null ? [] : [right];
  });
  const right = verdicts.filter((one) => one).length;
  return { ...queue("audit", items, page), precision: verdicts.length === 0 ? null : wilson(right, verdicts.length) };
}

/** What could not be used, and why. */
export async function quarantined(
  store: Store,
  place: { teacher: string; stream: string },
  said: Said,
  page: Page,
): Promise<Review> {
  const byCode: Record<string, number> = {};
  const items: ReviewItem[] = [];
  let [total, done] = [0, 0];
  for await (const one of listQuarantine(store, place)) {
    byCode[one.code] = (byCode[one.code] ?? 0) + 1;
    const labels = one.sha256 === null ? [] : (said.get(one.sha256) ?? []);
    if (isDone(labels.at(-1) ?? null)) done++;
    if (total++ < page.from || items.length >= page.limit) continue;
    items.push({
      sha256: one.sha256,
      uri: one.uri,
      sizeBytes: 0,
      class: null,
      label: null,
      probability: null,
      cutoff: null,
      rank: null,
      kept: false,
      why: `${one.code}: ${one.reason}`,
      refused: { partition: one.partition, offset: one.offset, code: one.code },
      seen: labels.length,
      said: labels.at(-1) ?? null,
    });
  }
  return { kind: "quarantine", total, done, precision: null, basis: null, byCode, items };
}

/** What the teacher could not tell: archived images whose best class has a low probability, whether they were chosen or not. */
export function unsure(
  { images, rows, records, isWhole }: LowConfidenceQueue,
  manifest: Manifest | null,
  said: Said,
  page: Page,
): Review {
  const items = images.map((image): ReviewItem => {
    const labels = said.get(image.sha256) ?? [];
    const index = manifest?.classes.find(({ label }) => label === image.label);
    return {
      sha256: image.sha256,
      uri: image.uri,
      sizeBytes: image.sizeBytes,
      class: index?.class ?? null,
      label: image.label,
      probability: image.probability,
      cutoff: index?.worst ?? null,
      rank: null,
      kept: false,
      why: `of all classes the teacher gave it ${image.label} the most, ${percent(image.probability)}`,
      refused: null,
      seen: labels.length,
      said: labels.at(-1) ?? null,
    };
  });
  const basis = isWhole
    ? `exact: the least sure of ${counted(rows, "archived row")}, which is all`
    : `a sample: the least sure of ${counted(rows, "row")}, drawn evenly from ${counted(records, "record")}`;
  return { ...queue("unsure", items, page), basis };
}

function queue(kind: Review["kind"], items: readonly ReviewItem[], { from, limit }: Page): Review {
  return {
    kind,
    total: items.length,
    done: items.filter(({ said }) => isDone(said)).length,
    precision: null,
    basis: null,
    byCode: {},
    items: items.slice(from, from + limit),
  };
}

function isDone(said: ImageLabel | null): boolean {
  return said !== null && said.verdict !== "withdrawn";
}

function itemOf(manifest: Manifest, row: IndexRow, said: Said, why: string): ReviewItem {
  const labels = said.get(row.sha256) ?? [];
  return {
    sha256: row.sha256,
    uri: row.uri,
    sizeBytes: row.sizeBytes,
    class: row.class,
    label: row.label,
    probability: row.probability,
    cutoff: manifest.classes[row.class]!.worst,
    rank: row.rank,
    kept: true,
    why,
    refused: null,
    seen: labels.length,
    said: labels.at(-1) ?? null,
  };
}

/** Places drawn without repeats by the version's id, and a seed for another sample: everybody audits the same rows. */
export function drawn(manifest: Manifest, most: number, seed = 0): { class: number; place: number }[] {
  // What people placed tells nothing of how right the teacher is: it stands first in each class, and again in each round of repeats.
  const rounds = manifest.classes.map(({ count, repeated, labelled = 0 }) => ({
    distinct: count - repeated,
    labelled,
    rows: rowsOfTeacher(count, count - repeated, labelled),
  }));
  const rows = rounds.reduce((sum, one) => sum + one.rows, 0);
  const numbers = new Set<number>();
  for (let turn = 0; numbers.size < Math.min(most, rows); turn++) {
    const hash = createHash("sha256")
      .update(`${manifest.id} ${seed === 0 ? "" : `${seed} `}${turn}`)
      .digest();
    // 48 bits: even for any number of rows there is.
    numbers.add(hash.readUIntBE(0, 6) % rows);
  }
  let start = 0;
  const starts = rounds.map((one) => {
    start += one.rows;
    return start - one.rows;
  });
  return [...numbers].map((number) => {
    let index = starts.length - 1;
    while (starts[index]! > number || rounds[index]!.rows === 0) index--;
    const { distinct, labelled } = rounds[index]!;
    const at = number - starts[index]!;
    const own = distinct - labelled;
    return { class: index, place: Math.floor(at / own) * distinct + labelled + (at % own) };
  });
}

/** Rows of a class that the teacher chose: all but the first `labelled` of each round. */
function rowsOfTeacher(count: number, distinct: number, labelled: number): number {
  if (labelled === 0) return count;
  const rounds = Math.floor(count / distinct);
  return rounds * (distinct - labelled) + Math.max(0, (count % distinct) - labelled);
}

/** z of a 95 % interval */
const Z = 1.959964;

/** Wilson's interval of a share. Source: Wilson 1927. */
export function wilson(right: number, judged: number): NonNullable<Review["precision"]> {
  const share = right / judged;
  const wide = 1 + Z ** 2 / judged;
  const middle = (share + Z ** 2 / (2 * judged)) / wide;
  const half = (Z * Math.sqrt((share * (1 - share)) / judged + Z ** 2 / (4 * judged ** 2))) / wide;
  return { right, judged, share, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

const percent = (probability: number): string => `${(100 * probability).toPrecision(3)} %`;
