import type { TagList, VersionList } from "../../../schemas/api/versions.ts";
import { useAnswer } from "../answer.ts";
import type { ScreenProps } from "../app.tsx";
import { withQuery } from "../calls.ts";
import { versionBefore } from "../parts/earlier.ts";
import { Publish } from "../parts/publish.tsx";
import { Command, Empty, Failed, Loading } from "../parts/states.tsx";
import { countText, timeText } from "../wording.ts";

/** Every version, the newest first. */
export function VersionsScreen({ watched, dataset, overview }: ScreenProps) {
  const listed = useAnswer<VersionList>("/api/versions", watched.changes);
  const tagged = useAnswer<TagList>(`/api/tags/${encodeURIComponent(dataset.name)}`, watched.changes);
  const tagsOf = (name: string, number: number): readonly string[] =>
    name === tagged.value?.dataset
      ? tagged.value.tags.filter((one) => one.number === number).map(({ tag }) => tag)
      : [];
  if (listed.error !== null && listed.value === null) return <Failed error={listed.error} />;
  if (listed.value === null) return <Loading label="Reading the versions" />;
  const { versions, damaged } = listed.value;
  const beforeOf = (name: string, number: number): number | null =>
    versionBefore(
      versions.filter((one) => one.dataset === name).map((one) => one.number),
      number,
    );
  return (
    <section class="versions">
      <header class="screen-head">
        <h1>Versions</h1>
        <p class="facts">{countText(versions.length)}</p>
        <div class="tools">
          <a class="button" href={withQuery("/diff", { dataset: dataset.name })}>
            Compare two
          </a>
          <Publish dataset={dataset} isReadOnly={overview.readOnly} />
        </div>
      </header>
      {damaged.map(({ code, message }) => (
        <p key={message} class="damaged" role="alert">
          <strong>{code}</strong> {message}
        </p>
      ))}
      {versions.length === 0 ? (
        <Empty title="No version yet">
          <p>The flow says what the trigger waits for. One can be made at once of what is archived:</p>
          <Command text="sluice rebuild" />
        </Empty>
      ) : (
        <div class="table-box">
          <table>
            <thead>
              <tr>
                <th>version</th>
                <th>id</th>
                <th class="number">rows</th>
                <th class="number">images</th>
                <th>created</th>
                <th>by</th>
                <th />
              </tr>
            </thead>
            <tbody>
              {versions.toReversed().map((one) => {
                const before = beforeOf(one.dataset, one.number);
                return (
                  <tr key={`${one.dataset}/${one.number}`}>
                    <td>
                      <a href={`/version/${encodeURIComponent(one.dataset)}/${one.number}`}>
                        <strong>
                          {one.dataset}/{one.number}
                        </strong>
                      </a>{" "}
                      {tagsOf(one.dataset, one.number).map((tag) => (
                        <span key={tag} class="badge">
                          {tag}
                        </span>
                      ))}
                    </td>
                    <td>
                      <code>{one.id.slice(0, 12)}</code>
                    </td>
                    <td class="number">{countText(one.rows)}</td>
                    <td class="number">{countText(one.images)}</td>
                    <td>{timeText(Date.parse(one.createdAt))}</td>
                    <td>
                      {one.trigger}
                      {one.incomplete ? <span class="badge">incomplete</span> : null}
                    </td>
                    <td>
                      {before === null ? null : (
                        <a href={withQuery("/diff", { dataset: one.dataset, before, after: one.number })}>
                          what changed
                        </a>
                      )}
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
