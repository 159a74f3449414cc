import type { Store } from "../../connectors/store/store.js";
import type { Dataset } from "../../schemas/dataset.js";
import {
  datasetDeclarationSchema,
  decodeDeclaration,
  encodeDeclaration,
  streamDeclarationSchema,
  type DatasetDeclaration,
  type StreamDeclaration,
  type StreamSettings,
} from "../../schemas/declaration.js";
import { declarationPlace, keys } from "../../schemas/keys.js";

/** The declaration of a dataset that stands. */
export interface DeclaredDataset extends DatasetDeclaration {
  readonly name: string;
  readonly revision: number;
  readonly dataset: Dataset;
}

/** One that was dropped; its versions stay. */
export interface DroppedDataset extends DatasetDeclaration {
  readonly name: string;
  readonly revision: number;
  readonly dataset: null;
}

/** What a store remembers of a stream: the highest revision of each declaration. */
export interface Declarations {
  readonly stream: string;
  /** null: nothing was declared of the stream */
  readonly settings: StreamSettings | null;
  /** 0 where nothing was declared */
  readonly revision: number;
  /** Those over this stream, in the order in which they were first declared */
  readonly datasets: readonly DeclaredDataset[];
  /** Dropped ones, and those over other streams, by name */
  readonly others: ReadonlyMap<string, DeclaredDataset | DroppedDataset>;
}

export function noDeclarations(stream: string): Declarations {
  return { stream, settings: null, revision: 0, datasets: [], others: new Map() };
}

export async function declaredStreams(store: Store): Promise<string[]> {
  return [...(await highestRevisions(store, keys.declaredStreams)).keys()].sort();
}

/** The stream that a store is about, where nobody names one: the only declared one; else `stream`. */
export async function onlyStream(store: Store, stream: string): Promise<string> {
  const names = await declaredStreams(store);
  return names.length === 1 ? names[0]! : stream;
}

/** Reads what is declared of a stream. Throws E_STORE_CORRUPT. */
export async function readDeclarations(store: Store, stream: string): Promise<Declarations> {
  const datasets: DeclaredDataset[] = [];
  const others = new Map<string, DeclaredDataset | DroppedDataset>();
  for (const [name, revision] of await highestRevisions(store, keys.declaredDatasets)) {
    const read = await readDataset(store, name, revision);
    if (isStanding(read) && read.stream === stream) datasets.push(read);
    else others.set(name, read);
  }
  datasets.sort((a, b) => a.since.atMs - b.since.atMs || a.since.place - b.since.place || (a.name < b.name ? -1 : 1));
  const revision = (await highestRevisions(store, `${keys.declaredStreams}${stream}/`)).get(stream) ?? 0;
  const settings = revision === 0 ? null : (await readStream(store, stream, revision)).settings;
  return { stream, settings, revision, datasets, others };
}

/** All revisions of a dataset, ascending. */
export async function datasetRevisions(store: Store, name: string): Promise<(DeclaredDataset | DroppedDataset)[]> {
  const highest = (await highestRevisions(store, `${keys.declaredDatasets}${name}/`)).get(name) ?? 0;
  const revisions = [];
  for (let revision = 1; revision <= highest; revision++) revisions.push(await readDataset(store, name, revision));
  return revisions;
}

/** Creates the next revision of a dataset. `exists`: somebody else has declared it since `after` was read. */
export async function appendDataset(
  store: Store,
  name: string,
  after: number,
  declaration: DatasetDeclaration,
): Promise<"created" | "exists"> {
  return store.putIfAbsent(keys.declaredDataset(name, after + 1), encodeDeclaration(declaration));
}

/** The same of a stream. */
export async function appendStream(
  store: Store,
  stream: string,
  after: number,
  declaration: StreamDeclaration,
): Promise<"created" | "exists"> {
  return store.putIfAbsent(keys.declaredStream(stream, after + 1), encodeDeclaration(declaration));
}

async function readDataset(store: Store, name: string, revision: number): Promise<DeclaredDataset | DroppedDataset> {
  const key = keys.declaredDataset(name, revision);
  const { dataset, ...rest } = decodeDeclaration(datasetDeclarationSchema, await store.get(key), key);
  return dataset === null ? { name, revision, ...rest, dataset } : { name, revision, ...rest, dataset };
}

async function readStream(store: Store, stream: string, revision: number): Promise<StreamDeclaration> {
  const key = keys.declaredStream(stream, revision);
  return decodeDeclaration(streamDeclarationSchema, await store.get(key), key);
}

function isStanding(one: DeclaredDataset | DroppedDataset): one is DeclaredDataset {
  return one.dataset !== null;
}

/** By name; revisions are never deleted, so that the highest is found by listing. */
async function highestRevisions(store: Store, prefix: string): Promise<Map<string, number>> {
  const highest = new Map<string, number>();
  for await (const { key } of store.list(prefix)) {
    const place = declarationPlace(key);
    if (place !== null) highest.set(place.name, Math.max(place.revision, highest.get(place.name) ?? 0));
  }
  return highest;
}
