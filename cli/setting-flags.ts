import type { Command } from "commander";
import type { SettingFlag } from "./invocation.js";

/** Flags that stand for settings of the teacher and its engine. */
export interface ScoringFlags {
  readonly teacher?: string;
  readonly engine?: string;
  readonly backend?: string;
  readonly workers?: string;
  readonly batch?: string;
  readonly devices?: string;
  readonly allowFallback?: true;
}

export function declareScoringFlags(command: Command): Command {
  return command
    .option("-t, --teacher <path>", "the classifier: a model file, a model card, or a folder with one")
    .option("--engine <kind>", "onnx, tfjs, or auto")
    .option("--backend <name>", "what the engine runs on, such as cpu, cuda, wasm")
    .option("--workers <n>", "engine workers")
    .option("--batch <n>", "greatest number of images in one run of the model, or auto: found by timing it")
    .option("--devices <list>", "GPUs to use, by CUDA's numbers, such as 0,1: one worker each")
    .option("--allow-fallback", "use another backend where the one asked for is absent");
}

export function scoringSettings(flags: ScoringFlags): SettingFlag[] {
  return [
    { flag: "--teacher", path: ["teacher"], value: flags.teacher },
    { flag: "--engine", path: ["engine", "kind"], value: flags.engine },
    { flag: "--backend", path: ["engine", "backend"], value: flags.backend },
    { flag: "--workers", path: ["engine", "workers"], value: flags.workers },
    { flag: "--batch", path: ["engine", "batch"], value: flags.batch },
    {
      flag: "--devices",
      path: ["engine", "devices"],
      value: flags.devices === undefined ? undefined : `[${flags.devices}]`,
    },
    {
      flag: "--allow-fallback",
      path: ["engine", "allowFallback"],
      value: flags.allowFallback === true ? "true" : undefined,
    },
  ];
}

/** For commander: a repeatable option's values as a list. */
export function collected(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}
