import { shellWord } from "../schemas/shell-word.js";
import { levelOf, type LogLevel } from "../schemas/log-level.js";
import type { Observed } from "../schemas/observed.js";
import type { OnProgress } from "../schemas/progress.js";
import type { Override } from "./config/override.js";
import type { Path } from "./config/settings-shape.js";
import type { ConfigRequest, GivenSettings } from "./config/given-settings.js";
import type { LoadedConfig } from "./load-config.js";
import { isAtLeast, logRecord, stampedLine } from "./log-record.js";
import { noteLine, type NoteForm, type SaidNote } from "./note-line.js";
import { placedHints } from "./placed-hints.js";
import type { ProgressMode } from "./progress/progress.js";
import { Stop } from "./stop.js";
import type { Terminal } from "./terminal.js";

/** The options that every command takes. */
export interface GlobalOptions {
  readonly config?: string;
  readonly data?: string;
  readonly set: readonly string[];
  readonly json?: boolean;
  readonly quiet?: boolean;
  /** false by `--no-progress` */
  readonly progress: "auto" | "lines" | "json" | false;
  readonly log?: "text" | "json";
  /** Of a log, and of lines that carry a level */
  readonly logLevel?: LogLevel;
}

/** What long work is given: where to report, and when to stop. */
export interface WorkContext {
  readonly onProgress: OnProgress;
  /** Aborts at the first Ctrl-C */
  readonly stop: AbortSignal;
  /** A line for the person, above the progress */
  readonly note: (line: string) => void;
  /** The same of what may not be as the person wants it; `code`, where programs are to know it again */
  readonly warn: (message: string, code?: string) => void;
}

/** A flag that stands for one setting, and what was given for it (undefined: not given). */
export interface SettingFlag {
  readonly flag: string;
  readonly path: Path;
  readonly value: string | undefined;
}

/** One run of one command: its options and its ways to say something. What reads settings is loaded when settings are asked for: `--help` asks for none. */
export class Invocation {
  readonly terminal: Terminal;
  readonly #options: GlobalOptions;
  exitCode = 0;
  /** The command goes on until it is stopped: its lines say when */
  goesOn = false;
  /** What runs, such as `train student`, and the options of its own that were given */
  action: { readonly name: string; readonly flags: object } = { name: "", flags: {} };

  constructor(terminal: Terminal, options: GlobalOptions) {
    this.terminal = terminal;
    this.#options = options;
  }

  get json(): boolean {
    return this.#options.json === true;
  }

  /** The settings from sluice.yaml, the environment, `--data`, `--set` and the command's own flags. Throws E_CONFIG. */
  async loadConfig(flags: readonly SettingFlag[] = []): Promise<LoadedConfig> {
    const { loadConfig } = await import("./load-config.js");
    return loadConfig(await this.#request(flags));
  }

  /** What the same say, before defaults and what is declared fill it up. Throws E_CONFIG. */
  async given(flags: readonly SettingFlag[] = []): Promise<GivenSettings> {
    const { GivenSettings } = await import("./config/given-settings.js");
    return GivenSettings.read(await this.#request(flags));
  }

  async #request(flags: readonly SettingFlag[]): Promise<ConfigRequest> {
    const { assertNoSecret, assignmentOverride, flagOverride } = await import("./config/override.js");
    const { config, data, set } = this.#options;
    set.forEach(assertNoSecret);
    const given = [...flags, { flag: "--data", path: ["data"], value: data }].flatMap(
      ({ flag, path, value }): Override[] => (value === undefined ? [] : [flagOverride(flag, path, value)]),
    );
    return {
      file: config ?? null,
      folder: this.terminal.folder,
      environment: this.terminal.environment,
      flags: [...set.map(assignmentOverride), ...given],
    };
  }

  /** The words of a hint that are not ours to write, as a shell takes them: `sluice rebuild 'my cats'`. */
  hint(...words: readonly string[]): string {
    return ["sluice", ...words].map(shellWord).join(" ");
  }

  /** The words with which another command of this call's places begins. */
  placeWords(): string[] {
    const { config, data, set } = this.#options;
    return [
      ...(config === undefined ? [] : ["--config", config]),
      ...(data === undefined ? [] : ["--data", data]),
      ...set.flatMap((assignment) => ["--set", assignment]),
    ];
  }

  /** A message whose hints name the places that this call was given. */
  placed(text: string): string {
    const { config, data, set } = this.#options;
    const { npm_command: npm, npm_lifecycle_event: event } = this.terminal.environment;
    return placedHints(text, {
      ...(config === undefined ? {} : { config }),
      ...(data === undefined ? {} : { data }),
      set,
      byNpx: npm === "exec" && event === "npx",
    });
  }

  /** The one result, on stdout: as text for people, or with `--json` as one object. */
  result(text: string, object: object): void {
    this.terminal.stdout.write(this.json ? `${JSON.stringify(object)}\n` : `${this.placed(text)}\n`);
  }

  /** A line for people, on stderr; an object with `--json` or `--progress json`, nothing with `--quiet`. */
  note(message: string): void {
    this.#say({ type: "note", message });
  }

  /** The same of what may not be as the person wants it */
  warn(message: string, code?: string): void {
    this.#say({ type: "warning", ...(code === undefined ? {} : { code }), message });
  }

  /** Told of what pipelines do, where a log of it is wanted: `--log json`, or lines of a command that goes on, from debug up */
  get onEvent(): ((observed: Observed) => void) | null {
    const form = this.#noteForm();
    if (form !== "log" && !(form === "stamped" && this.#leastLevel === "debug")) return null;
    return (observed) => {
      const level = levelOf(observed);
      if (level === null || !isAtLeast(level, this.#leastLevel)) return;
      const nowMs = this.terminal.nowMs();
      const { event, ...fields } = observed;
      const line =
        form === "log"
          ? logRecord(nowMs, level, event, fields)
          : stampedLine(nowMs, level, `${event} ${JSON.stringify(fields)}`);
      this.terminal.stderr.write(`${line}\n`);
    };
  }

  /** Runs long work with progress and a Ctrl-C that lets it finish what is in flight. */
  async work<Done>(body: (context: WorkContext) => Promise<Done>): Promise<Done> {
    const { stderr, nowMs, signals, exit } = this.terminal;
    const { openProgress } = await import("./progress/progress.js");
    const reporter = openProgress(this.#progressMode(), stderr, nowMs);
    const say = (said: SaidNote): void => {
      this.#say(said, (line) => {
        reporter.note(line);
      });
    };
    const note = (message: string): void => {
      say({ type: "note", message });
    };
    const warn = (message: string, code?: string): void => {
      say({ type: "warning", ...(code === undefined ? {} : { code }), message });
    };
    const stop = new Stop({
      signals,
      nowMs,
      say: note,
      exit: (code) => {
        // The cursor comes back before the process goes.
        reporter.close();
        exit(code);
      },
    });
    try {
      return await body({ onProgress: reporter.onProgress, stop: stop.signal, note, warn });
    } finally {
      stop.close();
      reporter.close();
    }
  }

  #say(
    said: SaidNote,
    write = (line: string): void => {
      this.terminal.stderr.write(`${line}\n`);
    },
  ): void {
    const placed = { ...said, message: this.placed(said.message) };
    const line = noteLine(placed, this.#noteForm(), this.terminal.nowMs(), this.#leastLevel);
    if (line !== null) write(line);
  }

  #noteForm(): NoteForm {
    const { progress, quiet, json, log } = this.#options;
    if (quiet === true) return "none";
    if (log === "json") return "log";
    if (this.goesOn && json !== true && progress !== "json") return "stamped";
    return json === true || progress === "json" ? "json" : "text";
  }

  get #leastLevel(): LogLevel {
    return this.#options.logLevel ?? "info";
  }

  #progressMode(): ProgressMode {
    const { progress, quiet, json, log } = this.#options;
    if (progress === false || quiet === true) return "none";
    if (progress !== "auto") return progress;
    if (json || log === "json") return "none";
    return this.terminal.stderr.isTTY === true ? "block" : "lines";
  }
}
