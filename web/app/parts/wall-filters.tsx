import { useState } from "preact/hooks";
import type { Facets, Wall } from "../../../schemas/api/whatif.ts";
import { useAnswer } from "../answer.ts";
import { countText, shareText } from "../wording.ts";

/** What of a class is shown, as the address has it. */
export type FilterQuery = Readonly<Partial<Record<"source" | "day" | "licence" | "show" | "other", string>>>;

const NAMES = ["source", "day", "licence", "show", "other"] as const;

export function filterOf(query: Readonly<Record<string, string>>): FilterQuery {
  return Object.fromEntries(NAMES.flatMap((name) => (query[name] === undefined ? [] : [[name, query[name]]])));
}

export const isFiltered = (filter: FilterQuery): boolean => Object.keys(filter).length > 0;

/** Whether images stand in the order of their ranks, so that the cut-off is one line among them. */
export const isInOrder = ({ show = "all" }: FilterQuery): boolean => show === "all" || show === "disagree";

interface FiltersProps {
  readonly wall: Wall;
  readonly filter: FilterQuery;
  readonly put: (filter: FilterQuery) => void;
}

/** Which of a class's images are shown: by where they are from, by their day, by what they are like. */
export function WallFilters({ wall, filter, put }: FiltersProps) {
  const [isOpen, setOpen] = useState(isFiltered(filter));
  // All rows of the class are read for it: only once somebody asks.
  const base = `/api/datasets/${encodeURIComponent(wall.dataset)}/classes/${wall.class}/facets`;
  const facets = useAnswer<Facets>(isOpen ? base : null).value;
  const change = (name: (typeof NAMES)[number], value: string | undefined): void => {
    const others = Object.entries(filter).filter(([other]) => other !== name);
    put(Object.fromEntries(value === undefined ? others : [...others, [name, value]]));
  };
  if (!isOpen) {
    return (
      <button
        type="button"
        class="quiet"
        onClick={() => {
          setOpen(true);
        }}
      >
        Filter …
      </button>
    );
  }
  const others = facets?.others ?? [];
  return (
    <div class="filters" role="group" aria-label="What is shown">
      <Choice
        name="From"
        value={filter.source}
        all="anywhere"
        options={(facets?.sources ?? []).map(({ value, count }) => ({
          value,
          text: `${shortSource(value)} · ${countText(count)}`,
        }))}
        onChange={(value) => {
          change("source", value);
        }}
      />
      <Choice
        name="Day"
        value={filter.day}
        all="any day"
        options={(facets?.days ?? [])
          .toSorted((a, b) => (a.value < b.value ? 1 : -1))
          .map(({ value, count }) => ({ value, text: `${value} · ${countText(count)}` }))}
        onChange={(value) => {
          change("day", value);
        }}
      />
      <Choice
        name="Licence"
        value={filter.licence}
        all="any"
        options={(facets?.licences ?? []).map(({ value, count }) => ({
          value,
          text: `${value === "" ? "without" : value} · ${countText(count)}`,
        }))}
        onChange={(value) => {
          change("licence", value);
        }}
      />
      <Choice
        name="Show"
        value={filter.show}
        all="all that ranks"
        options={[
          { value: "like", text: "near duplicates together" },
          { value: "left-out", text: `left out as near duplicates or guarded · ${countText(wall.leftOut)}` },
          ...(others.length === 0 ? [] : [{ value: "disagree", text: "another teacher disagrees" }]),
        ]}
        onChange={(value) => {
          change("show", value);
        }}
      />
      {filter.show === "disagree" && others.length > 1 ? (
        <Choice
          name="Which"
          value={filter.other}
          all={others[0]!.name}
          options={others
            .slice(1)
            .map(({ digest, name }) => ({ value: digest, text: `${name} ${digest.slice(0, 8)}` }))}
          onChange={(value) => {
            change("other", value);
          }}
        />
      ) : null}
      {isFiltered(filter) ? (
        <>
          <span class="fine" role="status">
            {countText(wall.shown)} of {countText(wall.total)}
            {wall.total === 0 ? "" : ` (${shareText(Math.min(1, wall.shown / wall.total))})`}
            {wall.note === null ? "" : `, ${wall.note}`}
          </span>
          <button
            type="button"
            class="quiet"
            onClick={() => {
              put({});
            }}
          >
            Show all
          </button>
        </>
      ) : null}
    </div>
  );
}

interface ChoiceProps {
  readonly name: string;
  readonly value: string | undefined;
  /** What stands for no choice */
  readonly all: string;
  readonly options: readonly { readonly value: string; readonly text: string }[];
  readonly onChange: (value: string | undefined) => void;
}

function Choice({ name, value, all, options, onChange }: ChoiceProps) {
  const known = value === undefined || options.some((one) => one.value === value);
  return (
    <label class="choice">
      <span class="fine">{name}</span>
      <select
        value={value === undefined ? "" : `=${value}`}
        onChange={(event) => {
          const text = event.currentTarget.value;
          onChange(text === "" ? undefined : text.slice(1));
        }}
      >
        <option value="">{all}</option>
        {known ? null : <option value={`=${value}`}>{value}</option>}
        {options.map((one) => (
          <option key={one.value} value={`=${one.value}`}>
            {one.text}
          </option>
        ))}
      </select>
    </label>
  );
}

/** The last steps of a path tell folders apart. */
function shortSource(source: string): string {
  const steps = source.replace(/\/$/, "").split("/");
  return steps.length <= 4 ? source : `…/${steps.slice(-2).join("/")}`;
}
