import type { Reproduction } from "../../pipelines/reproduce.js";
import { counted } from "../../schemas/counted.js";

/** What became of a reproduction, as the members of a `--json` result. */
export function reproducedObject({ manifest, id, same, differences, erased }: Reproduction): object {
  const { dataset, number, provenance } = manifest;
  const { incomplete } = provenance;
  return { dataset, number, same, published: manifest.id, archive: id, incomplete, erased, differences };
}

/** The same for people. */
export function reproducedText({ manifest, id, same, differences, erased }: Reproduction): string {
  const { dataset, number, totals, provenance } = manifest;
  return [
    same
      ? `Dataset ${dataset}, version ${number}: the archive gives the same ${counted(totals.rows, "row")} again`
      : `Dataset ${dataset}, version ${number}: the archive gives another version`,
    `  published  ${manifest.id}`,
    `  archive    ${id}`,
    ...(provenance.incomplete ? ["  incomplete: the gaps that it left out were left out again"] : []),
    ...(erased === 0
      ? []
      : [
          `  ${counted(erased, "image was", "images were")} erased from it: of them the archive has no licence and origin any more, on which its conditions are, so that they are not chosen again`,
        ]),
    ...(same ? [] : differenceLines(differences)),
  ].join("\n");
}

function differenceLines(differences: Reproduction["differences"]): string[] {
  if (differences.length === 0) {
    return [
      "  the rows are the same: the manifest's selection, span or teacher is not the one that its id was made from",
    ];
  }
  return [
    "  the first rows that differ:",
    ...differences.map(
      ({ label, rank, published, cut }) =>
        `    ${label}, rank ${rank}: published ${rowText(published)}, archive ${rowText(cut)}`,
    ),
  ];
}

function rowText(row: { readonly sha256: string; readonly key: number | null } | null): string {
  return row === null ? "none" : `${row.sha256.slice(0, 12)} (${row.key ?? "by label"})`;
}
