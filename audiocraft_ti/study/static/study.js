// The page of a study: one screen at a time, as the server says where this rater is.
'use strict';

const $ = id => document.getElementById(id);
const SCREENS = ['welcome', 'headphones', 'pair', 'done'];
const ROUNDS = 3;
const NEEDED = 2;  // right answers of the headphone check
const CLIPS = ['left', 'right'];
let state = null;  // what the server last said
let busy = false;
let loading = new AbortController();

// -- screens and the server --

function show(screen) {
  for (const name of SCREENS) $(name).hidden = name !== screen;
  $(screen).querySelector('h1').focus({preventScroll: true});
  window.scrollTo(0, 0);
}

function problem(text) {
  $('problem').textContent = text;
  $('problem').hidden = !text;
}

async function ask(path, body) {
  const request = body && {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)};
  let response;
  try {
    response = await fetch(path, request);
  } catch {
    throw new Error('The server cannot be reached. Nothing is lost: check your connection, and try again.');
  }
  const said = await response.json().catch(() => ({}));
  if (response.ok) return said;
  const error = new Error(typeof said.detail === 'string' ? said.detail : `The server refused it (${response.status}).`);
  error.status = response.status;
  throw error;
}

// Sends something, once at a time, and goes where the answer says. After a conflict it asks where it is.
async function go(path, body) {
  if (busy) return;
  busy = true;
  try {
    enter(await ask(path, body));
  } catch (error) {
    if (error.status === 409 && state) enter(await ask('/api/state').catch(() => state));
    problem(error.message);
  } finally {
    busy = false;
  }
}

function enter(now) {
  state = now;
  problem('');
  stop();
  if (state.position === state.total) return show('done');
  $('progress').textContent = `Pair ${state.position + 1} of ${state.total}`;
  $('bar').max = state.total;
  $('bar').value = state.position;
  $('prompt').textContent = state.prompt;
  $('question').textContent = state.question;
  $('back').hidden = state.position === 0;
  $('reference').hidden = $('reference-key').hidden = !state.reference;
  for (const button of document.querySelectorAll('[data-choice]'))
    button.setAttribute('aria-pressed', button.dataset.choice === state.choice);
  show('pair');
  load();
}

// -- players --

class Player {
  constructor(side) {
    this.side = side;
    this.root = $(side);
    this.button = this.root.querySelector('.play');
    this.range = this.root.querySelector('input');
    this.canvas = this.root.querySelector('canvas');
    this.audio = new Audio();
    this.peaks = [];
    this.button.addEventListener('click', () => this.toggle());
    this.range.addEventListener('input', () => { this.audio.currentTime = this.range.value * this.duration; });
    for (const event of ['play', 'pause', 'ended', 'timeupdate', 'seeked'])
      this.audio.addEventListener(event, () => this.update());
  }

  get duration() { return Number.isFinite(this.audio.duration) ? this.audio.duration : 0; }

  // Seconds that were heard, no second twice.
  get heard() {
    let sum = 0;
    for (let i = 0; i < this.audio.played.length; i++) sum += this.audio.played.end(i) - this.audio.played.start(i);
    return sum;
  }

  get needed() { return state[`hear_${this.side}`] || 0; }

  async load(signal) {
    this.peaks = [];
    this.button.disabled = true;
    this.update();
    const response = await fetch(`/api/clip/${state.position}/${this.side}`, {signal});
    if (!response.ok) throw new Error('A clip could not be loaded: reload the page.');
    const data = await response.arrayBuffer();
    if (this.audio.src) URL.revokeObjectURL(this.audio.src);
    this.audio.src = URL.createObjectURL(new Blob([data], {type: 'audio/wav'}));
    this.button.disabled = false;
    this.peaks = await peaks(data);
    this.update();
  }

  toggle() {
    if (this.button.disabled) return;
    if (!this.audio.paused) return this.audio.pause();
    stop();
    this.audio.play().catch(() => problem('This browser did not play the clip: press again.'));
  }

  update() {
    const playing = !this.audio.paused;
    this.root.querySelector('.sign').textContent = playing ? '\u275A\u275A' : '\u25B6\uFE0E';
    this.button.setAttribute('aria-pressed', playing);
    this.range.value = this.duration ? this.audio.currentTime / this.duration : 0;
    const heard = this.side !== 'reference' && this.peaks.length && this.heard >= this.needed ? 'heard \u2713' : '';
    const label = this.root.querySelector('.heard');
    if (label.textContent !== heard) label.textContent = heard;
    this.draw();
    allow();
  }

  draw() {
    const {canvas, peaks: columns} = this;
    const scale = window.devicePixelRatio || 1;
    const style = getComputedStyle(document.body);
    canvas.width = canvas.clientWidth * scale;
    canvas.height = canvas.clientHeight * scale;
    const context = canvas.getContext('2d');
    const width = canvas.width / (columns.length || 1);
    columns.forEach((peak, index) => {
      const done = index / columns.length < this.range.value;
      context.fillStyle = style.getPropertyValue(done ? '--mark' : '--line');
      const height = Math.max(scale, peak * canvas.height);
      context.fillRect(index * width, (canvas.height - height) / 2, Math.max(1, width * 0.7), height);
    });
  }
}

// Loudest value in each of some stretches of a clip, the loudest of all as 1.
async function peaks(data, count = 120) {
  const buffer = await new OfflineAudioContext(1, 1, 32000).decodeAudioData(data);
  const samples = buffer.getChannelData(0);
  const step = Math.max(1, Math.floor(samples.length / count));
  const found = Array.from({length: count}, (_, column) => {
    let peak = 0;
    for (let i = column * step; i < Math.min(samples.length, (column + 1) * step); i++)
      peak = Math.max(peak, Math.abs(samples[i]));
    return peak;
  });
  const loudest = Math.max(...found, 1e-6);
  return found.map(peak => peak / loudest);
}

function stop() {
  for (const player of Object.values(players)) player.audio.pause();
}

async function load() {
  loading.abort();
  loading = new AbortController();
  const {signal} = loading;
  const needed = [...CLIPS, ...state.reference ? ['reference'] : []];
  try {
    await Promise.all(needed.map(side => players[side].load(signal)));
  } catch (error) {
    if (error.name !== 'AbortError') problem(error.message);
  }
}

// Answers are open once both clips were heard.
function allow() {
  const open = state !== null && CLIPS.every(side => players[side].peaks.length
    && players[side].heard >= players[side].needed);
  $('first').hidden = open;
  for (const button of document.querySelectorAll('[data-choice]')) button.disabled = !open;
}

function answer(choice) {
  go('/api/answer', {position: state.position, choice, heard_left: players.left.heard,
    heard_right: players.right.heard});
}

function back() {
  go('/api/back', {position: state.position});
}

// -- headphones: of three tones the one with opposite phase is the quietest, but over loudspeakers alone another is --

const check = {context: null, round: 0, right: 0, odd: 0, tries: 0};

function startCheck() {
  Object.assign(check, {round: 0, right: 0, tries: check.tries + 1});
  $('failed').hidden = true;
  $('tones').disabled = false;
  show('headphones');
  nextRound();
}

function nextRound() {
  check.odd = Math.floor(Math.random() * 3);
  check.soft = (check.odd + 1 + Math.floor(Math.random() * 2)) % 3;
  $('round').textContent = `(${check.round + 1} of ${ROUNDS})`;
  for (const button of document.querySelectorAll('[data-tone]')) button.disabled = true;
}

// The quietest is 6 dB down. Another has its channels in opposite phase: loud in headphones, gone in the air.
async function playTones() {
  check.context = check.context || new AudioContext();
  await check.context.resume();
  $('tones').disabled = true;
  const begin = check.context.currentTime + 0.1;
  for (let index = 0; index < 3; index++) tone(begin + index * 1.2, index === check.soft, index === check.odd);
  setTimeout(() => {
    $('tones').disabled = false;
    for (const button of document.querySelectorAll('[data-tone]')) button.disabled = false;
  }, 3600);
}

function tone(begin, soft, opposite) {
  const {context} = check;
  const oscillator = new OscillatorNode(context, {frequency: 200});
  const envelope = new GainNode(context, {gain: 0});
  const merger = new ChannelMergerNode(context, {numberOfInputs: 2});
  const flip = new GainNode(context, {gain: opposite ? -1 : 1});
  const loudness = soft ? 0.1 : 0.2;
  envelope.gain.setValueAtTime(0, begin);
  envelope.gain.linearRampToValueAtTime(loudness, begin + 0.1);
  envelope.gain.setValueAtTime(loudness, begin + 0.9);
  envelope.gain.linearRampToValueAtTime(0, begin + 1);
  oscillator.connect(envelope);
  envelope.connect(merger, 0, 0);
  envelope.connect(flip).connect(merger, 0, 1);
  merger.connect(context.destination);
  oscillator.start(begin);
  oscillator.stop(begin + 1);
}

function heardTone(index) {
  check.right += index === check.soft;
  check.round += 1;
  if (check.round < ROUNDS) return nextRound();
  if (check.right >= NEEDED) return begin(check.right);
  for (const button of document.querySelectorAll('[data-tone]')) button.disabled = true;
  $('tones').disabled = true;
  $('failed').hidden = false;
  $('without').hidden = check.tries < 2;
}

function begin(headphones) {
  const about = Object.fromEntries(new FormData($('begin')));
  go('/api/start', {consent: $('consent').checked, headphones, about});
}

// -- what is pressed --

const players = Object.fromEntries(['reference', ...CLIPS].map(side => [side, new Player(side)]));
const KEYS = {1: () => players.left.toggle(), 2: () => players.right.toggle(), r: () => players.reference.toggle(),
  a: () => press('left'), b: () => press('right'), n: () => press('neither'), c: () => press('undecided'),
  backspace: () => $('back').hidden || back()};

function press(choice) {
  document.querySelector(`[data-choice=${choice}]`).click();
}

document.addEventListener('keydown', event => {
  const key = KEYS[event.key.toLowerCase()];
  if (!key || $('pair').hidden || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  event.preventDefault();
  key();
});
window.addEventListener('resize', () => Object.values(players).forEach(player => player.draw()));
$('begin').addEventListener('submit', event => {
  event.preventDefault();
  if (document.body.dataset.headphones === 'true') startCheck();
  else begin(null);
});
$('tones').addEventListener('click', playTones);
$('again').addEventListener('click', startCheck);
$('without').addEventListener('click', () => begin(check.right));
$('back').addEventListener('click', back);
$('last').addEventListener('click', back);
for (const button of document.querySelectorAll('[data-tone]'))
  button.addEventListener('click', () => heardTone(Number(button.dataset.tone)));
for (const button of document.querySelectorAll('[data-choice]'))
  button.addEventListener('click', () => answer(button.dataset.choice));
ask('/api/state').then(enter, error => error.status === 401 ? show('welcome') : problem(error.message));
