import { openSharpDecoder } from "../../../connectors/decoder/sharp.js";
import { decoderConformance } from "../../conformance/decoder.js";

decoderConformance("sharp", () => openSharpDecoder({ concurrency: 2 }));
