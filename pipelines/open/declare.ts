import type { Store } from "../../connectors/store/store.js";
import {
  appendDataset,
  appendStream,
  readDeclarations,
  type Declarations,
} from "../../operators/version/declarations.js";
import type { Config } from "../../schemas/config.js";
import { DEFAULT_P, FEW_CLASSES, type Dataset } from "../../schemas/dataset.js";
import { DECLARATION_VERSION, type StreamSettings } from "../../schemas/declaration.js";
import { changeText, datasetChange, streamChange, type DeclarationChange } from "../../schemas/declaration-changes.js";
import { SluiceError } from "../../schemas/errors.js";
import type { ModelCard } from "../../schemas/model-card.js";

export {
  datasetRevisions,
  noDeclarations,
  onlyStream,
  type DeclaredDataset,
  type DroppedDataset,
} from "../../operators/version/declarations.js";
export { readDeclarations, type Declarations };

/** What is to be declared of a stream; datasets that are not among these stay as they are. */
export interface Wanted {
  readonly settings: StreamSettings;
  readonly datasets: readonly Dataset[];
}

/** How `wanted` differs from what is declared, the stream first. */
export function wantedChanges(declared: Declarations, { settings, datasets }: Wanted): DeclarationChange[] {
  const before = new Map(declared.datasets.map(({ name, dataset }) => [name, dataset]));
  return [
    streamChange(declared.stream, declared.settings, settings),
    ...datasets.map((dataset) => datasetChange(before.get(dataset.name) ?? null, dataset)),
  ].flatMap((change) => change ?? []);
}

/**
 * Declares `wanted`, given what was declared when it was made up. Where another process has declared the same meanwhile, all is
 * well. Throws E_DATASET_CONFLICT where it has declared something else, or where a name belongs to another stream.
 */
export async function declare(
  store: Store,
  declared: Declarations,
  wanted: Wanted,
  { by, nowMs }: { readonly by: string; readonly nowMs: number },
): Promise<void> {
  assertFree(declared, wanted.datasets);
  const { stream } = declared;
  const told = { schemaVersion: DECLARATION_VERSION, at: new Date(nowMs).toISOString(), by } as const;
  const before = new Map(declared.datasets.map((one) => [one.name, one]));
  let isBeaten = false;
  for (const [place, dataset] of wanted.datasets.entries()) {
    const standing = before.get(dataset.name);
    if (datasetChange(standing?.dataset ?? null, dataset) === null) continue;
    const revision = (standing ?? declared.others.get(dataset.name))?.revision ?? 0;
    const since = standing?.since ?? { atMs: nowMs, place };
    const outcome = await appendDataset(store, dataset.name, revision, { ...told, stream, dataset, since });
    isBeaten ||= outcome === "exists";
  }
  // Last: where a stream is declared, so are its datasets.
  if (streamChange(stream, declared.settings, wanted.settings) !== null) {
    const { settings } = wanted;
    const outcome = await appendStream(store, stream, declared.revision, { ...told, settings });
    isBeaten ||= outcome === "exists";
  }
  if (isBeaten) await assertSame(store, stream, wanted);
}

/**
 * Watches over what is declared: the returned function throws E_DATASET_CONFLICT once a dataset of a stream has another revision
 * than now. A process that goes on for long asks it before it publishes.
 */
export async function declarationWatch(store: Store, stream: string): Promise<() => Promise<void>> {
  const revisionsOf = async (): Promise<Map<string, number>> => {
    const { datasets } = await readDeclarations(store, stream);
    return new Map(datasets.map(({ name, revision }) => [name, revision]));
  };
  const before = await revisionsOf();
  return async () => {
    const now = await revisionsOf();
    for (const [name, revision] of before) {
      const standing = now.get(name);
      if (standing === revision) continue;
      const found = standing === undefined ? "that it was dropped" : `revision ${standing}`;
      throw new SluiceError(
        "E_DATASET_CONFLICT",
        `Expected dataset "${name}" as it was declared when this process began (revision ${revision}), found ${found}: nothing more is published by the old one. ` +
          "What is scored is archived. Start the command again: it goes on by what is declared now.",
        { dataset: name, revision, found: standing ?? null },
      );
    }
  };
}

/** Ends a dataset; its versions stay. Throws E_DATASET_CONFLICT where somebody else has declared it meanwhile. */
export async function dropDataset(
  store: Store,
  declared: Declarations,
  name: string,
  { by, nowMs }: { readonly by: string; readonly nowMs: number },
): Promise<void> {
  const { revision, since } = declared.datasets.find((one) => one.name === name)!;
  const at = new Date(nowMs).toISOString();
  const tombstone = {
    schemaVersion: DECLARATION_VERSION,
    at,
    by,
    stream: declared.stream,
    dataset: null,
    since,
  } as const;
  if ((await appendDataset(store, name, revision, tombstone)) === "created") return;
  const now = await readDeclarations(store, declared.stream);
  if (now.datasets.every((one) => one.name !== name)) return;
  throw new SluiceError(
    "E_DATASET_CONFLICT",
    `Expected dataset "${name}" as it was read, found that another process has declared it anew meanwhile. Look at it ` +
      `(\`sluice datasets show ${name}\`), and drop it again.`,
  );
}

/** Of two that declare at once one wins; the other has to look at what that one said. */
async function assertSame(store: Store, stream: string, wanted: Wanted): Promise<void> {
  const differences = wantedChanges(await readDeclarations(store, stream), wanted);
  if (differences.length === 0) return;
  throw new SluiceError(
    "E_DATASET_CONFLICT",
    `Expected to be the only one who declares, found that another process has declared something else meanwhile. Asked for was, ` +
      `beside what is declared now: ${differences.map(changeText).join("; ")}. Look at it with \`sluice datasets show\`, and run the command again to change it.`,
    { differences },
  );
}

function assertFree({ stream, others }: Declarations, datasets: readonly Dataset[]): void {
  for (const { name } of datasets) {
    const other = others.get(name);
    if (other === undefined || other.stream === stream || other.dataset === null) continue;
    throw new SluiceError(
      "E_DATASET_CONFLICT",
      `Expected a dataset over stream "${stream}", found that "${name}" is declared over stream "${other.stream}". ` +
        "Give it another name (`datasets:` in sluice.yaml, or --set datasets.0.name=…).",
      { dataset: name, stream: other.stream },
    );
  }
}

/** Chooses P of datasets for which nobody has, by the teacher's classes. Throws E_CONFIG where the archive does not answer that. */
export function withChosenP(config: Config, open: ReadonlySet<string>, card: Pick<ModelCard, "labels">): Config {
  const { topM, logits } = config.archive;
  const datasets = config.datasets.map((dataset) => {
    if (!open.has(dataset.name)) return dataset;
    const { labels } = dataset.select;
    const classes = labels === undefined ? card.labels.length : Object.keys(labels).length;
    const p = classes <= FEW_CLASSES ? 1 : DEFAULT_P;
    if (p > topM && logits !== "all") {
      throw new SluiceError(
        "E_CONFIG",
        `Expected archive.topM of at least ${p} for the P that dataset "${dataset.name}" has by default with ${classes} classes, found ${topM}. ` +
          "Say its P (select.p), or raise archive.topM.",
      );
    }
    return { ...dataset, select: { ...dataset.select, p } };
  });
  return { ...config, datasets };
}
