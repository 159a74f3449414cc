import { resolve } from "node:path";
import type { Command } from "commander";
import { collected } from "./setting-flags.js";

/** Flags that say what of a source is taken. */
export interface SourceFlags {
  readonly include?: readonly string[];
  readonly followLinks?: boolean;
  readonly linksWithin?: string;
}

export function declareSourceFlags(command: Command): Command {
  return command
    .option(
      "--include <glob>",
      "only files (or members of shards, or keys below the prefix) that match, whatever the letters' case; repeatable",
      collected,
    )
    .option("--follow-links", "take links in a folder (DVC, git-annex, Hugging Face) for what they lead to")
    .option("--no-follow-links", "pass links over again, where they were followed before")
    .option("--links-within <folder>", "follow links, but none that leads out of this folder");
}

/** What of a source is taken; `folder` is where relative paths begin. */
export function selectedBy(flags: SourceFlags, folder: string) {
  const { include, followLinks = false, linksWithin } = flags;
  return {
    include,
    followLinks: followLinks || linksWithin !== undefined,
    linksWithin: linksWithin === undefined ? undefined : resolve(folder, linksWithin),
  };
}
