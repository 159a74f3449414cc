import { useState } from "preact/hooks";
import type { Live } from "../../../schemas/api/flow.ts";
import { CallError, post } from "../calls.ts";
import { noteChange } from "../live.ts";
import { agoText } from "../wording.ts";
import { Confirm } from "./confirm.tsx";
import { toast } from "./toast.ts";
import { author } from "./verdicts.ts";

type Want = "run" | "pause" | "drain";
const DONE: Readonly<Record<Want, string>> = {
  pause: "Paused: what was read is scored, and then all wait.",
  run: "Set going.",
  drain: "Asked to drain: what the log has is scored, and then those who run end.",
};

/** Asks it of those who run, as the commands do. Says what went wrong. */
export async function ask(want: Want, seen: number | null): Promise<void> {
  const by = author();
  try {
    await post("/api/control", { want, seen, ...(by === null ? {} : { by }) });
    noteChange();
    toast({
      kind: "done",
      text: DONE[want],
      ...(want === "pause" ? { undo: () => void ask("run", (seen ?? -1) + 1) } : {}),
    });
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    toast({ kind: "failed", text: error.message });
  }
}

/** Says what draining comes to, and asks for it. */
export function DrainBox({ seen, close }: { readonly seen: number | null; readonly close: () => void }) {
  return (
    <Confirm
      title="Drain those who run?"
      action="Drain"
      isBusy={false}
      run={() => {
        close();
        void ask("drain", seen);
      }}
      close={close}
    >
      <p>
        Every process that scores this stream now takes nothing more from its sources, scores what the log has, and
        ends. An ingest publishes what is due first.
      </p>
      <p class="fine">It cannot be taken back; processes that start afterwards run as ever.</p>
    </Confirm>
  );
}

/** What is asked of those who score, and the buttons that ask something else. */
export function Asked({ now, isReadOnly }: { readonly now: Live; readonly isReadOnly: boolean }) {
  const [isDraining, setDraining] = useState(false);
  const { control } = now;
  const isPaused = control?.want === "pause";
  const seen = control?.number ?? null;
  return (
    <div class={`asked${isPaused ? " paused" : ""}`}>
      <p role="status">
        {control === null || control.want === "run" ? (
          "Not paused: those who score this stream may run."
        ) : (
          <>
            <strong>{isPaused ? "Paused" : "Drained"}</strong> by {control.by} {agoText(now.atMs - control.atMs)} ago
            {control.reason === null ? "" : `: ${control.reason}`}.{" "}
            {isPaused ? "Nothing is taken or scored until it goes on." : "Those who started since run."}
          </>
        )}
      </p>
      {isReadOnly ? null : (
        <p class="actions">
          {isPaused ? (
            <button type="button" class="primary" onClick={() => void ask("run", seen)}>
              Resume
            </button>
          ) : (
            <button type="button" onClick={() => void ask("pause", seen)}>
              Pause
            </button>
          )}
          <button
            type="button"
            disabled={isPaused}
            onClick={() => {
              setDraining(true);
            }}
          >
            Drain …
          </button>
        </p>
      )}
      {isDraining ? (
        <DrainBox
          seen={seen}
          close={() => {
            setDraining(false);
          }}
        />
      ) : null}
    </div>
  );
}
