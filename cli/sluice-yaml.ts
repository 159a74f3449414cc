import { configSchema } from "../schemas/config.js";
import { DEFAULT_P, FEW_CLASSES } from "../schemas/dataset.js";

/**
 * A first sluice.yaml: what one is likely to change, with its default. `schema` is the path or URL that an editor
 * checks the file against; `teacher` goes in where it is known.
 */
export function startingYaml(options: { schema: string; teacher: string | null }): string {
  const { engine, bytes, data, datasets, archive } = configSchema.parse({});
  const first = datasets[0]!;
  return `# yaml-language-server: $schema=${options.schema}
#
# What Sluice does in this folder. \`sluice check\` says what is wrong with it, and at which line.
# Only settings that differ from their default need a line; docs/configuration.md lists every one.

# The folder where everything lies: log, archive, checkpoints and versions.
data: ${data}

# The classifier that scores the images: a folder with a model card, a model card, or a model file (.onnx).
${options.teacher === null ? "# teacher: teacher/model.onnx" : `teacher: ${JSON.stringify(options.teacher)}`}

engine:
  # onnx, tfjs, or auto: by the format of the teacher's model.
  kind: ${engine.kind}
  # Greatest number of images in one run of the model. By default 16, on GPUs auto: found by timing the model.
  # batch: 16

archive:
  # Classes archived an image. A dataset's p is at most this; more lets later questions reach further.
  topM: ${archive.topM}

# refer: images stay where they are, and versions name them.
# keep: the bytes of those that may be chosen are copied into the data folder, and versions carry them.
bytes: ${bytes}

# Each dataset is a selection over the stream, and has its own versions. The data folder remembers what is declared here:
# \`sluice ingest\` and \`sluice datasets apply\` take up a change, and say so; docs/datasets.md says more.
datasets:
  - name: ${first.name}
    # When a version is made while images come (\`ingest --follow\`, \`run\`): a global window never ends by itself; docs/windows.md.
    # trigger: { everyImages: 10000 }
    select:
      # K: images a class.
      k: ${JSON.stringify(first.select.k)}
      # P: each image stands for its P best classes only. By default ${DEFAULT_P}, or 1 where there are ${FEW_CLASSES} classes or fewer.
      # p: ${first.select.p}
      # Least probability of a chosen row, from 0 to 1.
      floor: ${first.select.floor}

# Several processes, on a Kafka cluster and a bucket: docs/processes.md. \`sluice topics create\` makes the topics.
# kafka:
#   brokers: broker-1:9092,broker-2:9092
#   # Begins the names of topics and groups: another one for staging beside production.
#   prefix: sluice-
# s3:
#   endpoint: https://s3.eu-central-1.amazonaws.com
#   bucket: my-bucket
#   # The keys are best given as SLUICE_S3__ACCESS_KEY and SLUICE_S3__SECRET_KEY.
`;
}
