"""What ComfyUI writes: the graph that made the image, as it was run (`prompt`) and as it was drawn
(`workflow`).

A graph is a program and not a list of parameters. It is walked back from what saves the image to
the sampler nearest to the empty latent image, and from there to its texts, its model and its size.
What else stands on the way is unread. Graphs may be rings; each node is visited once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from store.metadata.attention import read_emphasis
from store.metadata.foreign import Collector, Reading, to_list, to_number, to_object, to_text

NODES_LIMIT = 5000
_DEPTH = 64

_TEXTS = ("text", "text_g", "clip_g", "prompt", "string", "value", "t5xxl", "text_l", "clip_l")
_MODELS = ("ckpt_name", "unet_name", "model_name", "gguf_name")
_NUMBERS = ("seed", "noise_seed", "value", "int", "number", "INT", "Number", "float")
_PLAIN = {
    "KSampler",
    "KSamplerAdvanced",
    "SamplerCustom",
    "SamplerCustomAdvanced",
    "KSamplerSelect",
    "BasicScheduler",
    "RandomNoise",
    "BasicGuider",
    "CFGGuider",
    "CLIPTextEncode",
    "CheckpointLoaderSimple",
    "CheckpointLoader",
    "UNETLoader",
    "CLIPLoader",
    "DualCLIPLoader",
    "TripleCLIPLoader",
    "VAEDecode",
    "SaveImage",
    "PreviewImage",
    "PrimitiveNode",
    "Note",
    "MarkdownNote",
    "Reroute",
    "ConditioningZeroOut",
}
"""Nodes of which nothing is left once the walk has been past them."""

_WIDGETS = {
    "KSampler": ("seed", "", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        "add_noise",
        "noise_seed",
        "",
        "steps",
        "cfg",
        "sampler_name",
        "scheduler",
        "start_at_step",
        "end_at_step",
        "return_with_leftover_noise",
    ),
    "CLIPTextEncode": ("text",),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name", "weight_dtype"),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "EmptySD3LatentImage": ("width", "height", "batch_size"),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "RandomNoise": ("noise_seed", ""),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "CFGGuider": ("cfg",),
    "FluxGuidance": ("guidance",),
    "VAELoader": ("vae_name",),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "PrimitiveNode": ("value", ""),
    "LoadImage": ("image", ""),
}
"""The values of a drawn node have no names; these are their names, "" for what is no input."""


class Node(msgspec.Struct, frozen=True):
    """A node: its id, what it does, and its inputs: values, or links as (id, output)."""

    id: str
    kind: str
    inputs: dict[str, Any]


class _Link(msgspec.Struct, frozen=True):
    id: str
    output: int


Graph = Mapping[str, Node]


def is_graph(values: dict[str, Any]) -> bool:
    """Whether a JSON object is a graph that was run."""
    some = list(values.values())[:50]
    return any(isinstance(node, dict) and "class_type" in node for node in some)


def read_comfyui(
    prompt: dict[str, Any] | None, workflow: dict[str, Any] | None, text: str
) -> Reading | None:
    """What the graph says: that which was run, else that which was drawn. None for no graph."""
    graph = _load_run(prompt) if prompt is not None else {}
    if not graph and workflow is not None:
        graph = _load_drawn(workflow)
    if not graph:
        return None
    collector = Collector("ComfyUI", text)
    reached = _list_reached(graph)
    samplers = [node for node in reached if _is_sampler(node)]
    if not samplers:
        for node in reached[:100]:
            collector.leave(f"node {node.id}", _describe(node))
        return collector.finish()
    sampler = _choose_first(graph, samplers)
    known = _Walk(graph, sampler, collector).take()
    further = {node.id for node in samplers} - {sampler.id}
    for node in reached:
        is_taken = node.id in known or node.kind in _PLAIN
        if node.id in further or not is_taken:
            collector.leave(f"node {node.id}", _describe(node))
    return collector.finish()


def _describe(node: Node) -> str:
    values = [
        f"{name}={value}" for name, value in node.inputs.items() if not isinstance(value, _Link)
    ]
    return f"{node.kind}({', '.join(values)})"


# Graphs


def _load_run(values: dict[str, Any]) -> dict[str, Node]:
    graph = {}
    for key, value in list(values.items())[:NODES_LIMIT]:
        entry = to_object(value)
        if "class_type" in entry:
            inputs = {
                name: _to_link(each) or each
                for name, each in to_object(entry.get("inputs")).items()
            }
            graph[key] = Node(key, str(entry["class_type"])[:100], inputs)
    return graph


def _to_link(value: Any) -> _Link | None:
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[1], int):
        return None
    return _Link(str(value[0]), value[1]) if isinstance(value[0], str | int) else None


def _load_drawn(values: dict[str, Any]) -> dict[str, Node]:
    links: dict[Any, _Link] = {}
    for each in to_list(values.get("links"))[: 4 * NODES_LIMIT]:
        if isinstance(each, list) and len(each) >= 3 and isinstance(each[2], int):
            if isinstance(each[0], int | str):
                links[each[0]] = _Link(str(each[1]), each[2])
        elif isinstance(each, dict) and isinstance(each.get("id"), int | str):
            slot = each.get("origin_slot")
            links[each["id"]] = _Link(
                str(each.get("origin_id")), slot if isinstance(slot, int) else 0
            )
    graph = {}
    for each in to_list(values.get("nodes"))[:NODES_LIMIT]:
        entry = to_object(each)
        if "id" not in entry or entry.get("mode") in (2, 4):  # muted, passed by
            continue
        kind = str(entry.get("type"))[:100]
        inputs: dict[str, Any] = {}
        given = entry.get("widgets_values")
        if isinstance(given, dict):
            inputs |= given
        for own, value in zip(_WIDGETS.get(kind, ()), to_list(given), strict=False):
            if own:
                inputs[own] = value
        for socket in to_list(entry.get("inputs"))[:200]:
            link = to_object(socket).get("link")
            name = to_object(socket).get("name")
            if isinstance(link, int | str) and link in links and isinstance(name, str):
                inputs[name] = links[link]
        graph[str(entry["id"])] = Node(str(entry["id"]), kind, inputs)
    return graph


def _walk_back(graph: Graph, start: Node) -> Iterator[Node]:
    """The nodes that `start` is made of, the nearest first, each once, itself too."""
    queue, seen = deque([start]), {start.id}
    while queue:
        node = queue.popleft()
        yield node
        for value in node.inputs.values():
            if isinstance(value, _Link) and value.id in graph and value.id not in seen:
                seen.add(value.id)
                queue.append(graph[value.id])


def _list_reached(graph: Graph) -> list[Node]:
    """The nodes that the saved image is made of; all of them where nothing is saved."""
    ends = [
        node for node in graph.values() if "SaveImage" in node.kind or "Save Image" in node.kind
    ]
    ends = ends or [node for node in graph.values() if node.kind == "PreviewImage"]
    if not ends:
        return list(graph.values())
    found: dict[str, Node] = {}
    for end in ends[:10]:
        found |= {node.id: node for node in _walk_back(graph, end)}
    return list(found.values())


def _is_sampler(node: Node) -> bool:
    if "positive" in node.inputs and ("seed" in node.inputs or "noise_seed" in node.inputs):
        return True
    return node.kind in ("SamplerCustom", "SamplerCustomAdvanced")


def _choose_first(graph: Graph, samplers: list[Node]) -> Node:
    """The sampler that starts from none of the others."""
    names = {node.id for node in samplers}
    for sampler in samplers[:10]:
        before = {node.id for node in _walk_back(graph, sampler)} & names
        if before == {sampler.id}:
            return sampler
    return samplers[-1]


class _Walk:
    """From one sampler to all that it is given."""

    def __init__(self, graph: Graph, sampler: Node, collector: Collector) -> None:
        self._graph = graph
        self._sampler = sampler
        self._collector = collector
        self._known = {sampler.id}

    def take(self) -> set[str]:
        """Take what the sampler is given; the ids of the nodes that are understood."""
        sampler, inputs = self._sampler, self._sampler.inputs
        guider = self._follow(inputs.get("guider"))
        sigmas = self._follow(inputs.get("sigmas"))
        noise, method = self._follow(inputs.get("noise")), self._follow(inputs.get("sampler"))
        for kind, places in {
            "seed": (
                (sampler, "seed"),
                (sampler, "noise_seed"),
                (noise, "noise_seed"),
            ),
            "steps": ((sampler, "steps"), (sigmas, "steps")),
            "cfg_scale": ((sampler, "cfg"), (guider, "cfg")),
            "sampler": (
                (sampler, "sampler_name"),
                (method, "sampler_name"),
            ),
            "schedule": ((sampler, "scheduler"), (sigmas, "scheduler")),
        }.items():
            self._take_first(kind, places)
        for node in (sampler, sigmas):
            denoise = self._read(node, "denoise") if node else None
            if denoise is not None and to_number(denoise) != 1:
                self._collector.leave("denoise", denoise)
        for name in ("start_at_step", "add_noise", "return_with_leftover_noise"):
            value = self._read(sampler, name)
            if value not in (None, 0, "enable", "disable" if name.startswith("return") else None):
                self._collector.leave(name, value)
        start = guider or sampler
        self._take_texts(start.inputs.get("positive") or start.inputs.get("conditioning"), 1.0)
        self._take_texts(start.inputs.get("negative"), -1.0)
        self._take_model(inputs.get("model") or start.inputs.get("model"))
        self._take_size(inputs.get("latent_image") or inputs.get("latent"))
        return self._known

    def _follow(self, value: Any) -> Node | None:
        node = self._graph.get(value.id) if isinstance(value, _Link) else None
        if node is not None:
            self._known.add(node.id)
        return node

    def _read(self, node: Node | None, name: str) -> Any:
        """The value of an input, through links to nodes that only hold a value."""
        value = node.inputs.get(name) if node else None
        for _ in range(_DEPTH):
            if not isinstance(value, _Link):
                return value
            held = self._follow(value)
            names = _NUMBERS if held else ()
            value = next(
                (held.inputs[each] for each in names if held and each in held.inputs), None
            )
        return None

    def _take_first(self, kind: str, places: tuple[tuple[Node | None, str], ...]) -> None:
        for node, name in places:
            value = self._read(node, name)
            if value is not None:
                self._collector.take(kind, value, name)
                return

    def _take_texts(self, value: Any, weight: float) -> None:
        """The texts behind a conditioning; more than one where conditionings are combined."""
        queue, seen, found = deque([value]), set[str](), 0
        while queue and len(seen) < NODES_LIMIT:
            link = queue.popleft()
            node = self._graph.get(link.id) if isinstance(link, _Link) else None
            if node is None or node.id in seen:
                continue
            seen.add(node.id)
            if node.kind == "ConditioningZeroOut":
                self._known.add(node.id)
                continue
            texts = self._list_texts(node)
            if texts:
                self._known.add(node.id)
                for text in texts:
                    found += 1
                    self._take_text(text, weight)
                if node.kind != "CLIPTextEncode":
                    self._collector.leave(f"node {node.id}", _describe(node))
                continue
            both = "positive" in node.inputs and "negative" in node.inputs
            if both:
                queue.append(node.inputs["negative" if link.output == 1 else "positive"])
            else:
                queue += [each for name, each in node.inputs.items() if "onditioning" in name]
                queue += [each for name, each in node.inputs.items() if name == "guidance_in"]
        if found > 1:
            self._collector.note("Several texts are combined by the graph; each is a prompt here.")

    def _take_text(self, text: str, weight: float) -> None:
        parts, reason = read_emphasis(text, is_a1111=False)
        if reason:
            self._collector.note(f"A prompt is kept as it is written: {reason}.")
        self._collector.take_parts(parts, weight)

    def _list_texts(self, node: Node) -> list[str]:
        found: list[str] = []
        for name in _TEXTS:
            value = node.inputs.get(name)
            for _ in range(_DEPTH):
                if not isinstance(value, _Link):
                    break
                held = self._graph.get(value.id)
                names = [each for each in _TEXTS if held is not None and each in held.inputs]
                if held is None or not names or "clip" in held.inputs:
                    break
                self._known.add(held.id)
                value = held.inputs[names[0]]
            if isinstance(value, str) and value not in found:
                found.append(value)
        return [text for text in found if text.strip()] or found[:1]

    def _take_model(self, value: Any) -> None:
        node = self._follow(value)
        for _ in range(_DEPTH):
            if node is None:
                return
            for name in _MODELS:
                if isinstance(node.inputs.get(name), str):
                    self._collector.take("model", node.inputs[name])
                    return
            if "lora_name" in node.inputs:
                strength = node.inputs.get("strength_model", 1)
                self._collector.leave("lora", f"{to_text(node.inputs['lora_name'])}:{strength}")
            elif node.kind != "Reroute":
                self._known.discard(node.id)  # it changes the model in a way of its own
            links = [each for name, each in node.inputs.items() if "model" in name or name == ""]
            node = self._follow(next((each for each in links if isinstance(each, _Link)), None))

    def _take_size(self, value: Any) -> None:
        node = self._follow(value)
        if node is None or "Empty" not in node.kind:
            if node is not None:
                self._known.discard(node.id)
            return
        for name in ("width", "height"):
            size = self._read(node, name)
            if size is not None:
                self._collector.take(name, size)
        batch = self._read(node, "batch_size")
        if batch not in (None, 1):
            self._collector.leave("batch_size", batch)
            self._collector.note("It is one of a batch, which its seed alone does not tell apart.")
