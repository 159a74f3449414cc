import { useEffect, useRef, useState } from "preact/hooks";
import type { Wall, WhatifAnswered } from "../../../schemas/api/whatif.ts";
import { call, CallError, withQuery } from "../calls.ts";
import { Command } from "../parts/states.tsx";
import { countText, probabilityText, shareText, shellWord } from "../wording.ts";

interface HeadProps {
  readonly wall: Wall;
  readonly dataset: string;
  readonly k: number;
  readonly isMoved: boolean;
  readonly changes: number;
  readonly place: (k: number) => void;
  readonly reset: () => void;
  readonly deepen: (k: number) => void;
}

/** What a class's wall is, and what another K would give. */
export function WallHead({ wall, dataset, k, isMoved, changes, place, reset, deepen }: HeadProps) {
  const { answered, error } = useWhatif(dataset, isMoved ? k : null, changes);
  const answer = answered?.answer ?? null;
  return (
    <header class="wall-head">
      <div class="title">
        <h1>
          <a href={withQuery("/classes", { dataset })} class="up">
            Classes
          </a>
          <span>{wall.label}</span>
        </h1>
        <p class="facts">
          <strong>{countText(wall.kept)}</strong> of {countText(wall.k)}
          <span>
            cut-off <strong>{probabilityText(wall.cutoff)}</strong>
            {wall.version !== null && wall.cutoffBefore !== wall.cutoff
              ? ` (${probabilityText(wall.cutoffBefore)} in version ${wall.version})`
              : ""}
          </span>
          {wall.retracted > 0 ? <span>{countText(wall.retracted)} taken out by people</span> : null}
          <span class="badge">{wall.basis === "archive" ? "as of now" : `version ${wall.version ?? ""}`}</span>
          {wall.version !== null && wall.version > 1 ? (
            <a href={withQuery("/diff", { dataset, after: wall.version, label: wall.label })}>what changed</a>
          ) : null}
          <span class="fine">
            {wall.pending === null ? wall.why : `${wall.pending.what}: ${countText(wall.pending.done)} segments`}
          </span>
        </p>
      </div>
      <div class={`whatif-bar${isMoved ? " moved" : ""}`}>
        <label>
          <span>K</span>
          <input
            type="number"
            min={1}
            value={k}
            aria-label="K: images a class"
            onChange={(event) => {
              const next = Math.max(1, Math.round(Number(event.currentTarget.value)));
              if (next > wall.total) deepen(next);
              else place(next);
            }}
          />
        </label>
        {!isMoved ? (
          <span class="fine">Drag the cut-off to see what another K would give.</span>
        ) : answer === null ? (
          <span class="fine">
            {error?.message ??
              answered?.refused ??
              (answered?.pending == null
                ? "…"
                : `${answered.pending.what}: ${countText(answered.pending.done)} segments`)}
          </span>
        ) : (
          <dl class="figures">
            <div>
              <dt>rows</dt>
              <dd>{countText(answer.rows)}</dd>
            </div>
            <div>
              <dt>full</dt>
              <dd>
                {countText(answer.full)} of {countText(answer.classes)}
              </dd>
            </div>
            <div>
              <dt>overlap</dt>
              <dd>{shareText(answer.overlap)}</dd>
            </div>
            <div>
              <dt>starving</dt>
              <dd title={answer.starving.map(({ label, rows }) => `${label} ${rows}`).join(", ")}>
                {answer.starving.length === 0
                  ? "none"
                  : `${answer.starving
                      .slice(0, 2)
                      .map(({ label }) => label)
                      .join(", ")}${answer.starving.length > 2 ? ` +${answer.starving.length - 2}` : ""}`}
              </dd>
            </div>
            <div>
              <dt>{answer.exact ? "exact" : "not exact"}</dt>
              <dd class="fine">{answer.why.replace(/^exact (from|of) /, "")}</dd>
            </div>
          </dl>
        )}
        {isMoved ? (
          <button type="button" onClick={reset}>
            Back to {countText(wall.k)}
          </button>
        ) : null}
        {isMoved && answer !== null ? (
          <details class="apply">
            <summary>Apply</summary>
            <p>
              From now on, versions of {dataset} have K {countText(k)}; the next one has {countText(answer.rows)} rows.
              Then make one at once:
            </p>
            <Command text={`sluice datasets set ${shellWord(dataset)} k=${k}`} />
            <Command text={`sluice rebuild ${shellWord(dataset)}`} />
          </details>
        ) : null}
      </div>
    </header>
  );
}

/** Asks for one K at a time, the one that was dragged to last: a drag makes more than there is need to answer. */
function useWhatif(
  dataset: string,
  k: number | null,
  changes: number,
): { readonly answered: WhatifAnswered | null; readonly error: CallError | null } {
  const [state, set] = useState<{ answered: WhatifAnswered | null; error: CallError | null }>({
    answered: null,
    error: null,
  });
  const wanted = useRef<number | null>(null);
  const left = useRef(new AbortController());
  useEffect(() => {
    left.current = new AbortController();
    return () => {
      wanted.current = null;
      left.current.abort();
    };
  }, []);
  const isAsking = useRef(false);
  useEffect(() => {
    wanted.current = k;
    if (k === null || isAsking.current) return;
    isAsking.current = true;
    const ask = async (): Promise<void> => {
      for (let done: number | null = null; wanted.current !== null && wanted.current !== done;) {
        done = wanted.current;
        try {
          const answered = await call<WhatifAnswered>(
            withQuery(`/api/datasets/${encodeURIComponent(dataset)}/whatif`, { k: done }),
            { signal: left.current.signal },
          );
          set({ answered, error: null });
          if (answered.pending !== null) {
            await new Promise((later) => setTimeout(later, 300));
            done = null;
          }
        } catch (error) {
          if (left.current.signal.aborted) return;
          if (!(error instanceof CallError)) throw error;
          set({ answered: null, error });
        }
      }
      isAsking.current = false;
    };
    void ask();
  }, [dataset, k, changes]);
  return state;
}
