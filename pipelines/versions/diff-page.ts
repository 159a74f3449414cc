import type { Store } from "../../connectors/store/store.js";
import { counted } from "../../schemas/counted.js";
import type { Manifest } from "../../schemas/manifest.js";
import type { Change, ClassDiff, VersionDiff } from "./diff-versions.js";
import { diffVersions } from "./diff-versions.js";
import { IndexGroups } from "./index-groups.js";
import { picturePage, type PageLine } from "./picture-page.js";
import { picturesOf, type PictureOptions, type ShownImage } from "./version-pictures.js";

/** Pictures of a class that entered, left and moved each, and classes: a page stays some 10 MB */
const SHOWN = { entered: 24, left: 24, moved: 8 } as const;
const CLASSES_SHOWN = 40;

interface ChangedClass {
  readonly pair: ClassDiff;
  readonly changes: readonly Change[];
}

/** Compares two versions, and draws what changed as one page: the classes that changed most, with their pictures. */
export async function diffPage(
  store: Store,
  before: Manifest,
  after: Manifest,
  options: PictureOptions,
): Promise<{ readonly diff: VersionDiff; readonly page: string }> {
  const shown: ChangedClass[] = [];
  const diff = await diffVersions(store, before, after, (pair, changes) => {
    if (changes.length === 0) return;
    const some = (what: Change["what"]): Change[] =>
      changes.filter((change) => change.what === what).slice(0, SHOWN[what]);
    shown.push({ pair, changes: [...some("entered"), ...some("left"), ...some("moved")] });
  });
  const classes = shown
    .toSorted((a, b) => changed(b.pair) - changed(a.pair) || a.pair.label.localeCompare(b.pair.label, "en"))
    .slice(0, CLASSES_SHOWN);
  const images = await placesOf(store, before, after, classes);
  const pictures = await picturesOf(images, options);
  const { totals } = diff;
  const page = picturePage(
    {
      title: `${after.dataset}: from version ${before.number} to ${after.number}`,
      lead: [
        `${counted(totals.added, "row")} entered, ${totals.removed} left, ${totals.moved} moved, ${totals.kept} stayed.`,
        `Ids ${before.id.slice(0, 12)} and ${after.id.slice(0, 12)}; teachers ${before.teacher.name} and ${after.teacher.name}.`,
        ...diff.parameters.map(({ name, before: had, after: has }) => `${name}: ${had} → ${has}`),
        ...(shown.length > classes.length
          ? [`The ${classes.length} of ${counted(shown.length, "changed class", "changed classes")} that changed most.`]
          : []),
      ],
      sections: classes.map(({ pair, changes }) => ({
        title: pair.label,
        lead: `${pair.rowsBefore} → ${counted(pair.rowsAfter, "row")}, cut-off ${cutoffText(pair.cutoffBefore)} → ${cutoffText(pair.cutoffAfter)}`,
        lines: [
          lineOf("Entered", pair.added, changes, "entered"),
          lineOf("Left", pair.removed, changes, "left"),
          lineOf("Moved", pair.moved, changes, "moved"),
        ],
      })),
    },
    pictures,
  );
  return { diff, page };
}

function changed({ added, removed, moved }: ClassDiff): number {
  // A row that moved is still there.
  return (added + removed) * 1_000_000 + moved;
}

function lineOf(name: string, total: number, changes: readonly Change[], wanted: Change["what"]): PageLine {
  const cells = changes
    .filter(({ what }) => what === wanted)
    .map(({ row, rankBefore, because }) => ({
      sha256: row.sha256,
      caption: `${wanted === "moved" ? `rank ${rankBefore ?? "?"} → ${row.rank}` : `rank ${row.rank}`}, ${row.probability === null ? "by label" : row.probability.toPrecision(4)}`,
      because,
    }));
  return { name, total, cells };
}

/** Where the shown images lie, from the rows of the version that has them. */
async function placesOf(
  store: Store,
  before: Manifest,
  after: Manifest,
  classes: readonly ChangedClass[],
): Promise<ShownImage[]> {
  const groups = new IndexGroups(store);
  const images: ShownImage[] = [];
  for (const { pair, changes } of classes) {
    for (const { what, row } of changes) {
      const [manifest, index] = what === "left" ? [before, pair.classBefore] : [after, pair.class];
      if (index !== null) images.push(...(await groups.rowsOf(manifest, index, row.rank - 1, row.rank)));
    }
  }
  return images;
}

function cutoffText(probability: number | null): string {
  return probability === null ? "none" : probability.toPrecision(4);
}
