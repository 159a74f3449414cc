import { SluiceError } from "../schemas/errors.js";
import { archivedObject, type ChainName } from "../schemas/keys.js";

/** A part of an archive that a person has named. */
export interface ArchiveTarget {
  readonly stream: string;
  readonly teachers: readonly string[];
  readonly isIn: (chain: ChainName) => boolean;
  /** Where a chain is to be read from, an offset in it; and to, null where its object says that */
  readonly start: number;
  readonly end: number | null;
}

/** `target`: an object's key, or `stream/partition/start-end`. Throws E_USAGE. */
export function archiveTarget(
  target: string,
  { stream, teachers }: { readonly stream: string; readonly teachers: readonly string[] },
): ArchiveTarget {
  const object = archivedObject(target);
  if (object !== null) {
    const { chain, start } = object;
    const isIn = ({ partition, origin }: ChainName): boolean =>
      partition === chain.partition && origin === chain.origin;
    return { stream: chain.stream, teachers: [chain.teacher], isIn, start, end: null };
  }
  const [, of, partition, from, until] = /^(.+)\/(\d+)\/(\d+)-(\d+)$/.exec(target) ?? [];
  const [start, end] = [Number(from), Number(until)];
  if (of === stream && end > start)
    return { stream, teachers, isIn: (chain) => chain.partition === Number(partition), start, end };
  throw new SluiceError(
    "E_USAGE",
    `Expected the key of a segment or of a part of a run, or offsets such as ${stream}/0/100-200, found ${JSON.stringify(target)}. ` +
      "`sluice archive verify` names what is damaged, with both.",
  );
}
