import { useEffect, useRef, useState } from "preact/hooks";
import type { Wall, WallRow } from "../../../schemas/api/whatif.ts";
import { go } from "../address.ts";
import type { ScreenProps } from "../app.tsx";
import { withQuery } from "../calls.ts";
import { PAGE, usePages } from "../pages.ts";
import { Closer } from "../parts/closer.tsx";
import { CutLine } from "../parts/cut-line.tsx";
import { Picture } from "../parts/picture.tsx";
import { useScrolled } from "../parts/place.ts";
import { Empty, Failed, Loading } from "../parts/states.tsx";
import { toast } from "../parts/toast.ts";
import { failureText, say, takeBack, verdictOf, type Said, type Verdict } from "../parts/verdicts.ts";
import { countText, probabilityText } from "../wording.ts";
import { WallHead } from "./wall-head.tsx";

const GAP = 6;
/** px around the tiles, where the focused one's outline has room */
const EDGE = 4;
/** px that the cut takes between two lines of images */
const CUT = 44;
const SIZES = { least: 64, most: 192, standing: 96 } as const;
const SIZE = "sluice-tile";

/** A class's images in their order, and the cut-off as a line that one drags. */
export function ClassWall({ address, overview, watched, dataset }: ScreenProps) {
  const index = Number(address.steps[1] ?? 0);
  const version = address.query["version"];
  const askedK = address.query["k"] === undefined ? null : Number(address.query["k"]);
  const path = withQuery(`/api/datasets/${encodeURIComponent(dataset.name)}/classes/${index}/wall`, {
    version,
    k: askedK ?? undefined,
  });
  const pages = usePages<Wall>(path, watched.changes);
  const wall = pages.newest;
  const [cut, setCut] = useState<number | null>(askedK);
  const [focus, setFocus] = useState(0);
  const [isClose, setClose] = useState(false);
  const [size, setSize] = useState(() => Number(window.localStorage.getItem(SIZE) ?? SIZES.standing));
  const last = useRef<Said | null>(null);
  const list = useRef<HTMLDivElement>(null);
  const { box, ref, seen } = useScrolled<HTMLDivElement>();
  const total = wall?.total ?? 0;
  const k = Math.min(cut ?? wall?.k ?? 0, total);
  const columns = Math.max(1, Math.floor((seen.width - 2 * EDGE + GAP) / (size + GAP)));
  // Tiles take all of the width: no edge of another size than the gaps.
  const tile = Math.max(size, Math.floor((seen.width - 2 * EDGE + GAP) / columns) - GAP);
  const line = tile + GAP;
  const keptLines = Math.ceil(k / columns);
  const lines = keptLines + Math.ceil((total - k) / columns);
  const first = Math.max(0, lineAt(seen.top - 2 * line, line, keptLines));
  const until = Math.min(lines, lineAt(seen.top + seen.height + 2 * line, line, keptLines) + 1);
  const placesOf = (from: number, to: number): number[] => {
    const places: number[] = [];
    for (let at = from; at < to; at++) {
      for (let column = 0; column < columns; column++) {
        const place = at < keptLines ? at * columns + column : k + (at - keptLines) * columns + column;
        if (place < total && (at >= keptLines || place < k)) places.push(place);
      }
    }
    return places;
  };
  // Before the box has a width there is no place for any.
  const shown = seen.width === 0 ? [] : placesOf(first, until);
  useEffect(() => {
    if (shown.length > 0) pages.need(shown[0]!, shown.at(-1)!);
  });
  const rowAt = (place: number): WallRow | undefined => pages.at(place)?.rows[place % PAGE];
  const topOf = (place: number): number =>
    place < k ? Math.floor(place / columns) * line : (keptLines + Math.floor((place - k) / columns)) * line + CUT;
  const leftOf = (place: number): number => ((place < k ? place : place - k) % columns) * line;

  const scrollTo = (place: number): void => {
    box.current?.scrollTo({ top: Math.max(0, topOf(place) - seen.height / 2 + line / 2) });
    setFocus(Math.max(0, Math.min(total - 1, place)));
  };
  const judge = async (verdict: Verdict): Promise<void> => {
    const row = rowAt(focus);
    if (row === undefined || wall === null) return;
    try {
      const said = await say(verdict, { sha256: row.row.sha256, seen: row.seen }, wall.label);
      last.current = said;
      const undo = (): void => void back();
      toast({
        kind: "done",
        text: `Image at rank ${focus + 1} ${said.text}.${verdict === "is" ? "" : " The next one moves up."}`,
        undo,
      });
    } catch (error) {
      toast({ kind: "failed", text: failureText(error) });
    }
  };
  const back = async (): Promise<void> => {
    const said = last.current;
    if (said === null) return;
    last.current = null;
    try {
      await takeBack(said);
      toast({ kind: "done", text: "Taken back: what was said before holds again." });
    } catch (error) {
      toast({ kind: "failed", text: failureText(error) });
    }
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.metaKey || event.ctrlKey || event.altKey) return;
    const verdict = verdictOf(event.key);
    const step = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -columns,
      ArrowDown: columns,
      PageUp: -columns * 4,
      PageDown: columns * 4,
    }[event.key];
    if (step !== undefined) {
      const next = Math.max(0, Math.min(total - 1, focus + step));
      setFocus(next);
      const [top, height] = [topOf(next), seen.height];
      if (top < seen.top) box.current?.scrollTo({ top });
      else if (top + line > seen.top + height) box.current?.scrollTo({ top: top + line - height });
    } else if (event.key === "Home") scrollTo(0);
    else if (event.key === "End") scrollTo(total - 1);
    else if (event.key === " " || event.key === "Enter") setClose(!isClose);
    else if (event.key === "Escape" && isClose) setClose(false);
    else if (verdict !== null) void judge(verdict);
    else if (event.key.toLowerCase() === "u") void back();
    else return;
    event.preventDefault();
  };
  const place = (value: number): void => {
    const next = Math.max(1, Math.min(total, value));
    setCut(next === wall?.k ? null : next);
  };

  if (pages.error !== null && wall === null) return <Failed error={pages.error} />;
  if (wall === null) return <Loading rows={12} label="Reading the class" />;
  const row = rowAt(focus);
  return (
    <section class="wall" aria-label={`Class ${wall.label}`}>
      <WallHead
        wall={wall}
        dataset={dataset.name}
        k={cut ?? wall.k}
        isMoved={cut !== null}
        changes={watched.changes}
        place={(next) => {
          setCut(next);
        }}
        reset={() => {
          setCut(null);
          go(withQuery(`/class/${index}`, { dataset: dataset.name, version }));
        }}
        deepen={(next) => {
          go(withQuery(`/class/${index}`, { dataset: dataset.name, version, k: next }));
          setCut(next);
        }}
      />
      <div class="toolbar">
        <div class="jumps" role="group" aria-label="Go to">
          <button
            type="button"
            onClick={() => {
              scrollTo(0);
            }}
          >
            Best
          </button>
          <button
            type="button"
            onClick={() => {
              scrollTo(Math.max(0, k - 1));
            }}
          >
            Most doubtful
          </button>
          <button
            type="button"
            disabled={k >= total}
            onClick={() => {
              scrollTo(k);
            }}
          >
            Just outside
          </button>
        </div>
        <label class="size">
          <span class="fine">size</span>
          <input
            type="range"
            min={SIZES.least}
            max={SIZES.most}
            step={16}
            value={size}
            onInput={(event) => {
              const value = Number(event.currentTarget.value);
              setSize(value);
              window.localStorage.setItem(SIZE, String(value));
            }}
          />
        </label>
        <span class="fine keys">
          <kbd>←↑↓→</kbd> move <kbd>space</kbd> closer
          {overview.readOnly ? (
            ""
          ) : (
            <>
              {" "}
              <kbd>1</kbd> right <kbd>2</kbd> not this class <kbd>3</kbd> none <kbd>U</kbd> undo
            </>
          )}
        </span>
      </div>
      <div class="wall-body">
        <div class="tiles" ref={ref}>
          <div class="tiles-all" style={{ height: `${lines * line + (total > 0 ? CUT : 0)}px` }}>
            <div
              class="ranked"
              ref={list}
              tabIndex={0}
              onKeyDown={onKey}
              role="listbox"
              aria-label={`Images of ${wall.label}, best first`}
              aria-activedescendant={shown.includes(focus) ? `place-${focus}` : undefined}
            >
              {shown.map((at) => {
                const one = rowAt(at);
                return (
                  <div
                    key={one?.row.sha256 ?? `place-${at}`}
                    id={`place-${at}`}
                    class={`tile${at >= k ? " outside" : ""}${at === focus ? " focus" : ""}${one !== undefined && one.versionRank === null && at < k ? " entering" : ""}`}
                    role="option"
                    aria-selected={at === focus}
                    style={{
                      width: `${tile}px`,
                      height: `${tile}px`,
                      transform: `translate(${leftOf(at)}px, ${topOf(at)}px)`,
                    }}
                    title={one === undefined ? "" : `rank ${at + 1} · ${probabilityText(one.row.probability)}`}
                    aria-label={
                      one === undefined
                        ? `rank ${at + 1}, coming`
                        : `rank ${at + 1}, ${probabilityText(one.row.probability)}${at >= k ? ", outside" : ""}`
                    }
                    onClick={() => {
                      setFocus(at);
                      list.current?.focus();
                    }}
                    onDblClick={() => {
                      setClose(true);
                    }}
                  >
                    {one === undefined ? (
                      <span class="bone" />
                    ) : (
                      <Picture sha256={one.row.sha256} side={tile > 100 ? 384 : 192} alt="" />
                    )}
                    {one !== undefined && one.seen > 0 ? (
                      <span class="said" aria-label="something was said of it" />
                    ) : null}
                    <span class="caption">
                      {at + 1} · {one === undefined ? "" : probabilityText(one.row.probability)}
                    </span>
                  </div>
                );
              })}
            </div>
            {total === 0 ? null : (
              <CutLine
                top={keptLines * line}
                wall={wall}
                k={k}
                moveTo={(y) => {
                  place(Math.round(y / line) * columns);
                }}
                step={(by) => {
                  place(k + by);
                }}
                originOf={() => (box.current?.getBoundingClientRect().top ?? 0) - (box.current?.scrollTop ?? 0)}
              />
            )}
          </div>
          {total === 0 ? (
            <Empty title={wall.pending === null ? "No image of this class yet" : "Reading the archive"}>
              <p>
                {wall.pending === null
                  ? `Nothing that was scored ranks in ${wall.label}. Images come with \`sluice ingest\`.`
                  : `${wall.pending.what}: ${countText(wall.pending.done)} segments read`}
              </p>
            </Empty>
          ) : null}
        </div>
        {isClose && row !== undefined ? (
          <Closer
            row={row}
            wall={wall}
            place={focus}
            isKept={focus < k}
            isReadOnly={overview.readOnly}
            judge={(verdict) => void judge(verdict)}
            close={() => {
              setClose(false);
              list.current?.focus();
            }}
          />
        ) : null}
      </div>
    </section>
  );
}

/** The line of images that a height is in. */
function lineAt(y: number, line: number, keptLines: number): number {
  return y > keptLines * line ? Math.max(keptLines, Math.floor((y - CUT) / line)) : Math.floor(y / line);
}
