import { shownNames } from "../../schemas/class-names.js";
import { kText, type Manifest } from "../../schemas/manifest.js";
import { keys } from "../../schemas/keys.js";
import { countText, counted } from "../../schemas/counted.js";

export interface PublishedLike {
  readonly manifest: Manifest;
  readonly outcome: "created" | "unchanged" | "exists";
}

/** What became of a cut, as the members of a `--json` result. `place` is the store's. */
export function publishedObject({ manifest, outcome }: PublishedLike, place: string): object {
  return {
    dataset: manifest.dataset,
    number: manifest.number,
    id: manifest.id,
    outcome,
    rows: manifest.totals.rows,
    images: manifest.totals.images,
    bytesAbsent: manifest.totals.bytesAbsent,
    starving: starvingOf(manifest).map(({ class: index, label, count }) => ({ class: index, label, rows: count })),
    manifest: `${place}/${keys.manifest(manifest.dataset, manifest.number)}`,
  };
}

/** The same for people: a few lines. */
export function publishedText({ manifest, outcome }: PublishedLike, place: string): string {
  const { dataset, number, id, totals, provenance } = manifest;
  const name = `Dataset ${dataset}, version ${number}`;
  const head =
    outcome === "created"
      ? `${name}: ${counted(totals.rows, "row")}, ${counted(totals.images, "image")}, ${classesText(manifest)}`
      : `${name} is this already (same id): nothing new was published`;
  return [
    head,
    `  id        ${id}`,
    `  manifest  ${place}/${keys.manifest(dataset, number)}`,
    ...(outcome === "created" ? starvingLines(manifest) : []),
    ...(totals.bytesAbsent > 0
      ? [
          `  ${counted(totals.bytesAbsent, "row")} without image bytes: nothing kept them (see \`bytes\` in sluice.yaml)`,
        ]
      : []),
    ...(provenance.incomplete ? ["  incomplete: gaps in the archive were left out"] : []),
  ].join("\n");
}

export function classesText({ classes }: Manifest): string {
  const full = classes.filter(({ starving }) => !starving).length;
  return `${countText(full)} of ${counted(classes.length, "class", "classes")} full (K = ${kText(classes.map(({ k }) => k))})`;
}

/** Past this many, starving classes are counted. */
const NAMED = 8;

function starvingLines(manifest: Manifest): string[] {
  const starving = starvingOf(manifest).sort((a, b) => a.count - b.count);
  const names = shownNames(manifest.classes.map(({ label }) => label));
  if (starving.length === 0) return [];
  const named = starving.slice(0, NAMED).map(({ class: index, count }) => `${names[index]!} ${countText(count)}`);
  const more = starving.length > NAMED ? `, and ${countText(starving.length - NAMED)} more` : "";
  return [`  starving  ${named.join(", ")}${more}`];
}

function starvingOf({ classes }: Manifest): Manifest["classes"] {
  return classes.filter(({ starving }) => starving);
}
