"use strict";

// How long pictures follow a change, and how many more then: a graphics card's splats are sorted beside the drawing.
const ON_A_GRAPHICS_CARD = { ms: 1500, frames: 8 };
const ON_THE_PROCESSOR = { ms: 200, frames: 1 };
const LARGEST_ON_THE_PROCESSOR = 640; // pixels along an edge
// A picture that takes longer is that much smaller while the object turns.
const MS_OF_A_SMOOTH_PICTURE = 20;
const SMALLER = 0.6;
const SOFTWARE_GL = /swiftshader|llvmpipe|softpipe|software|basic render/i;

const byId = (id) => document.getElementById(id);
const bytesOf = (id) => Uint8Array.from(atob(byId(id).textContent), (character) => character.charCodeAt(0));

async function unpack(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function showMoment() {
  const chosen = Number(byId("scrubber").value);
  [...byId("frames").children].forEach((figure, index) => {
    figure.hidden = index !== chosen;
    if (index === chosen) byId("moment").textContent = figure.dataset.moment;
  });
}

function say(text) {
  byId("message").textContent = text;
  byId("message").hidden = false;
}

// The world has z up and its front towards x, three.js has y up; the file's own axes have y down and z away.
function placeCamera(camera, azimuthDeg, elevationDeg, distance) {
  const azimuth = (azimuthDeg * Math.PI) / 180;
  const elevation = (elevationDeg * Math.PI) / 180;
  const flat = distance * Math.cos(elevation);
  camera.position.set(flat * Math.sin(azimuth), distance * Math.sin(elevation), flat * Math.cos(azimuth));
  camera.up.set(0, 1, 0);
  camera.lookAt(0, 0, 0);
}

function hasGraphicsCard() {
  const gl = document.createElement("canvas").getContext("webgl2");
  if (!gl) return false;
  const details = gl.getExtension("WEBGL_debug_renderer_info");
  const name = gl.getParameter(details ? details.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return !SOFTWARE_GL.test(name);
}

function drawingOnAGraphicsCard(splats, { Color, Scene, SparkRenderer, WebGLRenderer }) {
  const renderer = new WebGLRenderer({ antialias: false, preserveDrawingBuffer: true });
  const scene = new Scene();
  scene.background = new Color(1, 1, 1);
  scene.add(new SparkRenderer({ renderer }), splats);
  return {
    domElement: renderer.domElement,
    setSize: (size) => {
      renderer.setPixelRatio(window.devicePixelRatio);
      renderer.setSize(size, size, false);
    },
    render: (camera) => renderer.render(scene, camera),
  };
}

function drawingOnTheProcessor(splats) {
  byId("how").textContent = "Drawn by the processor: this browser uses no graphics card.";
  splats.updateMatrixWorld();
  const drawing = new ProcessorDrawing(worldSplats(splats));
  let size = 1;
  let msOfAWholePicture = 0;
  return {
    domElement: drawing.domElement,
    setSize: (wanted) => {
      size = Math.min(wanted, LARGEST_ON_THE_PROCESSOR);
    },
    render: (camera, isMoving) => {
      const isWhole = !isMoving || msOfAWholePicture <= MS_OF_A_SMOOTH_PICTURE;
      drawing.setSize(isWhole ? size : Math.ceil(SMALLER * size));
      const begin = performance.now();
      drawing.render(camera);
      if (isWhole) msOfAWholePicture = performance.now() - begin;
    },
  };
}

async function start() {
  const settings = JSON.parse(byId("settings").textContent);
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(await unpack(bytesOf("libraries")));
  document.head.append(script);
  const { OrbitControls, PerspectiveCamera, SplatMesh } = window.SplatLibraries;
  const stage = byId("stage");
  const splats = new SplatMesh({ fileBytes: await unpack(bytesOf("splats")), fileType: "ply" });
  splats.quaternion.set(1, 0, 0, 0);
  await splats.initialized;
  const onGraphicsCard = hasGraphicsCard();
  const drawing = onGraphicsCard ? drawingOnAGraphicsCard(splats, window.SplatLibraries) : drawingOnTheProcessor(splats);
  const lasting = onGraphicsCard ? ON_A_GRAPHICS_CARD : ON_THE_PROCESSOR;
  const camera = new PerspectiveCamera(settings.field_of_view_deg, 1, 0.01, 100);
  const controls = new OrbitControls(camera, drawing.domElement);
  // Then nothing is drawn until the next change.
  const awake = { until: 0, frames: 0 };
  const wake = () => Object.assign(awake, { until: performance.now() + lasting.ms, frames: lasting.frames });
  const isResting = () => awake.frames === 0;
  controls.addEventListener("change", wake);
  const look = (azimuthDeg, elevationDeg, distance) => {
    controls.target.set(0, 0, 0);
    placeCamera(camera, azimuthDeg, elevationDeg, distance);
    controls.update();
    wake();
  };
  look(0, settings.elevation_deg, settings.distance);
  byId("front").addEventListener("click", () => look(0, settings.elevation_deg, settings.distance));
  const fit = () => {
    drawing.setSize(Math.max(1, stage.clientWidth));
    wake();
  };
  new ResizeObserver(fit).observe(stage);
  fit();
  stage.append(drawing.domElement);
  const status = { frames: 0, firstFrameMs: null, look, wake, isResting, canvas: drawing.domElement, onGraphicsCard };
  const step = () => {
    requestAnimationFrame(step);
    controls.update();
    if (isResting()) return;
    const isMoving = performance.now() < awake.until;
    if (!isMoving) awake.frames -= 1;
    drawing.render(camera, isMoving);
    status.frames += 1;
    if (status.firstFrameMs === null) {
      status.firstFrameMs = performance.now();
      byId("message").hidden = true;
    }
  };
  step();
  window.splatView = status;
}

if (byId("scrubber")) {  // splats of another program have no optimisation to show
  byId("scrubber").addEventListener("input", showMoment);
  showMoment();
}
start().catch((error) => say(`The object cannot be shown: ${error.message}`));
