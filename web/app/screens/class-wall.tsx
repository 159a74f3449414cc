import { useEffect, useRef, useState } from "preact/hooks";
import type { Wall, WallRow } from "../../../schemas/api/whatif.ts";
import { go } from "../address.ts";
import type { ScreenProps } from "../app.tsx";
import { withQuery } from "../calls.ts";
import { PAGE, usePages } from "../pages.ts";
import { Closer } from "../parts/closer.tsx";
import { CutLine } from "../parts/cut-line.tsx";
import { FIRST, heldOf, isMeant, placeOf } from "../parts/focused.ts";
import { useScrolled } from "../parts/place.ts";
import { Empty, Failed, Loading, Outdated } from "../parts/states.tsx";
import { toast } from "../parts/toast.ts";
import { failureText, say, takeBack, verdictOf, type Said, type Verdict } from "../parts/verdicts.ts";
import { type FilterQuery, filterOf, isFiltered, isInOrder, WallFilters } from "../parts/wall-filters.tsx";
import { WallTile } from "../parts/wall-tile.tsx";
import { countText } from "../wording.ts";
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
  // A number, or `name:` and what it is called
  const asked = encodeURIComponent(address.steps[1] ?? "0");
  const version = address.query["version"];
  const askedK = address.query["k"] === undefined ? null : Number(address.query["k"]);
  const filter = filterOf(address.query);
  const isWhole = !isFiltered(filter);
  const base = withQuery(`/api/datasets/${encodeURIComponent(dataset.name)}/classes/${asked}/wall`, {
    version,
    k: askedK ?? undefined,
  });
  const path = withFilter(base, filter);
  const pages = usePages<Wall>(path, watched.changes);
  const wall = pages.newest;
  const [cut, setCut] = useState<number | null>(askedK);
  const [focused, setFocused] = useState(FIRST);
  const [isClose, setClose] = useState(false);
  const [size, setSize] = useState(() => Number(window.localStorage.getItem(SIZE) ?? SIZES.standing));
  const last = useRef<(Said & { readonly place: number }) | null>(null);
  const list = useRef<HTMLDivElement>(null);
  const { box, ref, seen } = useScrolled<HTMLDivElement>();
  const total = wall?.shown ?? 0;
  const kept = cut ?? wall?.k ?? 0;
  // Of images that are shown by themselves, the first so many stand before the cut-off.
  const k = isWhole ? Math.min(kept, total) : isInOrder(filter) ? (wall?.shownKept ?? 0) : total;
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
  const found = placeOf(focused, (sha256) =>
    rowAt(focused.place)?.row.sha256 === sha256
      ? focused.place
      : pages.find(({ rows }) => rows.findIndex(({ row }) => row.sha256 === sha256)),
  );
  const focus = Math.max(0, Math.min(total - 1, found));
  const filterText = JSON.stringify(filter);
  useEffect(() => {
    setFocused(FIRST);
  }, [filterText]);
  useEffect(() => {
    setFocused((before) => heldOf(before, focus, rowAt(focus)?.row.sha256 ?? null));
  });
  const setFocus = (place: number): void => {
    setFocused({ place, sha256: rowAt(place)?.row.sha256 ?? null, isJudged: false });
  };
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
    const { sha256 } = row.row;
    if (!isMeant(focused, sha256)) {
      setFocus(focus);
      toast({ kind: "failed", text: "The image that you looked at has left this place: look again, at the one here." });
      return;
    }
    try {
      const said = await say(verdict, { sha256, seen: row.seen }, wall.label);
      last.current = said.isNew ? { ...said, place: focus } : null;
      setFocused({ place: focus, sha256, isJudged: true });
      const undo = (): void => void back();
      toast({
        kind: "done",
        text: `Image at rank ${row.place + 1} ${said.text}.${verdict === "is" || !said.isNew ? "" : " The next one moves up."}`,
        undo: said.isNew ? undo : undefined,
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
      setFocused({ place: said.place, sha256: said.sha256, isJudged: false });
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

  if (pages.error !== null && wall === null) return <Failed error={pages.error} retry={pages.retry} />;
  if (wall === null) return <Loading rows={12} label="Reading the class" />;
  const row = rowAt(focus);
  return (
    <section class="wall" aria-label={`Class ${wall.label}`}>
      <WallHead
        wall={wall}
        dataset={dataset.name}
        k={kept}
        isMoved={cut !== null}
        changes={watched.changes}
        place={(next) => {
          setCut(next);
        }}
        reset={() => {
          setCut(null);
          go(withQuery(`/class/${asked}`, { dataset: dataset.name, version, ...filter }));
        }}
        deepen={(next) => {
          go(withQuery(`/class/${asked}`, { dataset: dataset.name, version, k: next, ...filter }));
          setCut(next);
        }}
      />
      <Outdated error={pages.error} retry={pages.retry} />
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
        <WallFilters
          wall={wall}
          filter={filter}
          put={(next) => {
            box.current?.scrollTo({ top: 0 });
            const address = withQuery(`/class/${asked}`, { dataset: dataset.name, version, k: askedK ?? undefined });
            go(withFilter(address, next));
          }}
        />
        <span class="fine keys">
          <kbd>←↑↓→</kbd> move <kbd>space</kbd> closer
          {overview.readOnly ? (
            ""
          ) : (
            <>
              {" "}
              <kbd>1</kbd> right <kbd>2</kbd> not this class <kbd>3</kbd> none <kbd>D</kbd> duplicate <kbd>U</kbd> undo
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
                  <WallTile
                    key={one?.row.sha256 ?? `place-${at}`}
                    at={at}
                    one={one}
                    isOutside={isWhole ? at >= k : one !== undefined && (one.leftOut !== null || one.place >= kept)}
                    isFocus={at === focus}
                    side={tile}
                    left={leftOf(at)}
                    top={topOf(at)}
                    focus={() => {
                      setFocus(at);
                      list.current?.focus();
                    }}
                    look={() => {
                      setClose(true);
                    }}
                  />
                );
              })}
            </div>
            {total === 0 || !isInOrder(filter) ? null : !isWhole ? (
              <p class="cut fixed" style={{ transform: `translateY(${keptLines * line}px)` }}>
                <span class="cut-text">
                  <strong>{countText(k)} kept</strong>
                  <span class="cut-more"> of those shown · {countText(total - k)} outside</span>
                </span>
              </p>
            ) : (
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
            <Empty
              title={
                wall.pending !== null
                  ? "Reading the archive"
                  : isWhole
                    ? "No image of this class yet"
                    : "Nothing to show"
              }
            >
              <p>
                {!isWhole && wall.pending === null
                  ? `No image of ${wall.label} is so.`
                  : wall.pending === null
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
            place={row.place}
            isKept={row.leftOut === null && row.place < kept}
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

/** Also an empty licence is one that is asked for. */
function withFilter(path: string, filter: FilterQuery): string {
  const text = new URLSearchParams(filter).toString();
  return text === "" ? path : `${path}${path.includes("?") ? "&" : "?"}${text}`;
}

/** The line of images that a height is in. */
function lineAt(y: number, line: number, keptLines: number): number {
  return y > keptLines * line ? Math.max(keptLines, Math.floor((y - CUT) / line)) : Math.floor(y / line);
}
