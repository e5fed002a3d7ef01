"""What other programs write about an image, made from their grammars, and files that hold it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from typing import Any, Literal

from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

Texts = tuple[tuple[str, str], ...]
Bytes = Literal["UNICODE big", "UNICODE little", "ASCII", "none"]

A1111 = (
    "a cat, (clouds:1.3), house\n"
    "Negative prompt: ((blur)), ugly\n"
    "Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7.0, Seed: 1229080980, Size: 512x768, "
    "Model hash: 6ce0161689, Model: v1-5, Version: v1.9.3"
)
FORGE = (
    "a cat\nSteps: 20, Sampler: Euler, Schedule type: Simple, CFG scale: 1, Distilled CFG Scale: "
    "3.5, Seed: 5, Size: 896x1152, Model: flux, Version: f2.0.1v1.10.1"
)
SD_NEXT = (
    "a cat\nNegative prompt: \nSteps: 20, Size: 512x512, Sampler: Euler a, Scheduler: Default, "
    "Seed: 42, CFG scale: 6, CLiP-skip: 1, Batch: 1x4, Model: abc, App: SD.Next, Version: abcdef, "
    "Operations: txt2img"
)
SDCPP_RECORD: dict[str, Any] = {
    "schema": "sdcpp.image.params/v1",
    "mode": "img_gen",
    "generator": {"name": "stable-diffusion.cpp", "version": "master", "commit": "b290693"},
    "seed": 42,
    "width": 512,
    "height": 512,
    "prompt": {"positive": "a cat, Steps: 99, Seed: 7, Size: 64x64", "negative": "blue"},
    "sampling": {
        "steps": 30,
        "eta": 0,
        "method": "dpm++2m",
        "scheduler": "karras",
        "guidance": {
            "txt_cfg": 5,
            "img_cfg": 5,
            "distilled_guidance": 3.5,
            "slg": {"scale": 0, "layers": [7, 8, 9]},
        },
    },
    "models": {"model": "v1-5.safetensors", "vae": ""},
    "clip_skip": -1,
    "strength": 0.75,
    "rng": "cuda",
}
SDCPP = (
    "a cat, Steps: 99, Seed: 7, Size: 64x64\nNegative prompt: blue\nSteps: 30, CFG scale: "
    "5.000000, Seed: 42, Size: 512x512, Model: v1-5.safetensors, RNG: cuda, Sampler: dpm++2m "
    "karras, Version: stable-diffusion.cpp, SDCPP: " + json.dumps(SDCPP_RECORD)
)


def make_graph(**sampler: Any) -> dict[str, Any]:
    """The graph of ComfyUI's first example, with other inputs of the sampler."""
    return {
        "3": {
            "class_type": "KSampler",
            "inputs": {
                "seed": 77,
                "steps": 20,
                "cfg": 8,
                "sampler_name": "dpmpp_2m",
                "scheduler": "karras",
                "denoise": 1,
                "model": ["4", 0],
                "positive": ["6", 0],
                "negative": ["7", 0],
                "latent_image": ["5", 0],
            }
            | sampler,
        },
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd/v1-5.ckpt"}},
        "5": {
            "class_type": "EmptyLatentImage",
            "inputs": {"width": 512, "height": 640, "batch_size": 1},
        },
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "ugly", "clip": ["4", 1]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {
            "class_type": "SaveImage",
            "inputs": {"images": ["8", 0], "filename_prefix": "ComfyUI"},
            "_meta": {"title": "Save Image"},
        },
    }


WORKFLOW: dict[str, Any] = {
    "last_node_id": 9,
    "nodes": [
        {
            "id": 3,
            "type": "KSampler",
            "widgets_values": [99, "fixed", 20, 7, "euler", "normal", 1],
            "inputs": [
                {"name": "model", "link": 1},
                {"name": "positive", "link": 2},
                {"name": "negative", "link": 3},
                {"name": "latent_image", "link": 4},
            ],
        },
        {"id": 4, "type": "CheckpointLoaderSimple", "widgets_values": ["m.ckpt"]},
        {"id": 5, "type": "EmptyLatentImage", "widgets_values": [512, 512, 1]},
        {"id": 6, "type": "CLIPTextEncode", "widgets_values": ["a cat"]},
        {"id": 7, "type": "CLIPTextEncode", "widgets_values": ["ugly"]},
        {"id": 8, "type": "VAEDecode", "inputs": [{"name": "samples", "link": 5}]},
        {"id": 9, "type": "SaveImage", "inputs": [{"name": "images", "link": 6}]},
    ],
    "links": [
        [1, 4, 0, 3, 0, "MODEL"],
        [2, 6, 0, 3, 1, "CONDITIONING"],
        [3, 7, 0, 3, 2, "CONDITIONING"],
        [4, 5, 0, 3, 3, "LATENT"],
        [5, 3, 0, 8, 0, "LATENT"],
        [6, 8, 0, 9, 0, "IMAGE"],
    ],
}
INVOKEAI: dict[str, Any] = {
    "generation_mode": "txt2img",
    "positive_prompt": "a cat",
    "negative_prompt": "ugly",
    "width": 512,
    "height": 512,
    "seed": 3,
    "rand_device": "cpu",
    "cfg_scale": 7.5,
    "steps": 30,
    "scheduler": "dpmpp_2m_k",
    "model": {"key": "k", "hash": "blake3:abc", "name": "sd15", "base": "sd-1", "type": "main"},
    "app_version": "5.0.0",
}
INVOKEAI_2: dict[str, Any] = {
    "model": "stable diffusion",
    "model_weights": "stable-diffusion-1.5",
    "model_hash": "cc6cb27103",
    "app_id": "invoke-ai/InvokeAI",
    "app_version": "v2.2.4",
    "image": {
        "type": "txt2img",
        "prompt": [{"prompt": "a cat [ugly]", "weight": 1}],
        "seed": 9,
        "variations": [],
        "steps": 50,
        "cfg_scale": 7.5,
        "sampler": "k_lms",
        "width": 512,
        "height": 512,
        "threshold": 0,
        "perlin": 0,
    },
}
SWARMUI: dict[str, Any] = {
    "sui_image_params": {
        "prompt": "a cat",
        "negativeprompt": "",
        "model": "folder/name",
        "seed": 1,
        "steps": "20",
        "cfgscale": "7.0",
        "sampler": "euler",
        "width": 1024,
        "height": 1024,
        "swarm_version": "0.9.3.1",
    },
    "sui_extra_data": {"date": "2025-01-25", "generation_time": "4.84 sec"},
    "sui_models": [{"name": "x.safetensors", "param": "model", "hash": "0xab"}],
}
FOOOCUS: dict[str, Any] = {
    "prompt": "a cat",
    "negative_prompt": "ugly",
    "full_prompt": ["a cat"],
    "full_negative_prompt": ["ugly"],
    "seed": "123",
    "steps": 30,
    "resolution": "(1152, 896)",
    "guidance_scale": 4.0,
    "base_model": "juggernautXL_v8",
    "base_model_hash": "aeb7e9e689",
    "sampler": "euler",
    "scheduler": "normal",
    "styles": "[]",
    "performance": "Speed",
    "version": "Fooocus v2.5.0",
}
EASY_DIFFUSION: Texts = (
    ("prompt", "a cat"),
    ("negative_prompt", "ugly"),
    ("seed", "5"),
    ("use_stable_diffusion_model", "sd-v1-4"),
    ("sampler_name", "euler_a"),
    ("num_inference_steps", "25"),
    ("guidance_scale", "7.5"),
    ("width", "512"),
    ("height", "512"),
    ("clip_skip", "False"),
)
DRAW_THINGS: dict[str, Any] = {
    "c": "a cat",
    "uc": "ugly",
    "seed": 5,
    "steps": 10,
    "scale": 7,
    "sampler": "DDIM",
    "model": "m.ckpt",
    "size": "512x512",
    "strength": 1,
    "v2": {"loras": []},
}
NOVELAI: dict[str, Any] = {
    "prompt": "a cat, {rain}",
    "uc": "ugly",
    "steps": 28,
    "height": 1216,
    "width": 832,
    "scale": 5,
    "seed": 3071474384,
    "n_samples": 1,
    "sampler": "k_euler_ancestral",
    "sm": False,
    "signed_hash": "x",
}
MOLD: dict[str, Any] = {
    "prompt": "a cat",
    "negative_prompt": None,
    "model": "flux-schnell:q8",
    "seed": 4,
    "steps": 20,
    "guidance": 3.5,
    "width": 1024,
    "height": 1024,
    "scheduler": "ddim",
    "version": "0.2.0",
}


def make_packet(settings: dict[str, Any], description: str = "") -> str:
    """The XMP packet of Draw Things."""
    from xml.sax.saxutils import escape

    def wrap(name: str, text: str) -> str:
        item = f'<rdf:li xml:lang="x-default">{escape(text)}</rdf:li>'
        return f"<{name}><rdf:Alt>{item}</rdf:Alt></{name}>"

    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        'xmlns:exif="http://ns.adobe.com/exif/1.0/">'
        f"{wrap('dc:description', description)}<xmp:CreatorTool>Draw Things</xmp:CreatorTool>"
        f"{wrap('exif:UserComment', json.dumps(settings))}"
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    )


EXAMPLES: dict[str, tuple[Texts, tuple[int, int], str, str]] = {
    "A1111": ((("parameters", A1111),), (512, 768), "A1111", "mapped"),
    "Forge": ((("parameters", FORGE),), (896, 1152), "Forge", "partial"),
    "SD.Next": ((("parameters", SD_NEXT),), (512, 512), "SD.Next", "mapped"),
    "stable-diffusion.cpp": (
        (("parameters", SDCPP),),
        (512, 512),
        "stable-diffusion.cpp",
        "mapped",
    ),
    "ComfyUI, run": ((("prompt", json.dumps(make_graph())),), (512, 640), "ComfyUI", "mapped"),
    "ComfyUI, drawn": ((("workflow", json.dumps(WORKFLOW)),), (512, 512), "ComfyUI", "mapped"),
    "InvokeAI": ((("invokeai_metadata", json.dumps(INVOKEAI)),), (512, 512), "InvokeAI", "mapped"),
    "InvokeAI 2": ((("sd-metadata", json.dumps(INVOKEAI_2)),), (512, 512), "InvokeAI 2", "mapped"),
    "InvokeAI's command": (
        (("Dream", '"a cat [ugly]" -s 50 -S 9 -W512 -H 512 -C 7.5 -A k_lms'),),
        (512, 512),
        "InvokeAI 2",
        "partial",
    ),
    "SwarmUI": ((("parameters", json.dumps(SWARMUI)),), (1024, 1024), "SwarmUI", "mapped"),
    "Fooocus": (
        (("parameters", json.dumps(FOOOCUS)), ("fooocus_scheme", "fooocus")),
        (1152, 896),
        "Fooocus",
        "mapped",
    ),
    "Fooocus in A1111's words": (
        (("parameters", A1111.replace("v1.9.3", "Fooocus v2.5")), ("fooocus_scheme", "a1111")),
        (512, 768),
        "Fooocus",
        "mapped",
    ),
    "Easy Diffusion": (EASY_DIFFUSION, (512, 512), "Easy Diffusion", "mapped"),
    "Draw Things": (
        (("XML:com.adobe.xmp", make_packet(DRAW_THINGS, "a cat\n-ugly\nSteps: 10")),),
        (512, 512),
        "Draw Things",
        "mapped",
    ),
    "NovelAI": (
        (
            ("Software", "NovelAI"),
            ("Title", "NovelAI generated image"),
            ("Description", "a cat, {rain}"),
            ("Source", "NovelAI Diffusion V4 37442FCA"),
            ("Comment", json.dumps(NOVELAI)),
        ),
        (832, 1216),
        "NovelAI",
        "partial",
    ),
    "mold": ((("mold:parameters", json.dumps(MOLD)),), (1024, 1024), "mold", "mapped"),
    "only a text": ((("Description", "a cat in the rain"),), (512, 512), "text", "text only"),
}
"""By name: the texts of a PNG file, its size, whose words they are, and the grade that it gets."""


def make_png(texts: Iterable[tuple[str, str]], size: tuple[int, int] = (64, 64)) -> bytes:
    """A PNG file with these texts; what Latin-1 cannot hold goes into `iTXt`."""
    info = PngInfo()
    for name, text in texts:
        info.add_text(name, text)
    Pillow.new("RGB", size, "navy").save(file := io.BytesIO(), "PNG", pnginfo=info)
    return file.getvalue()


def make_commented(
    text: str, kind: str, how: Bytes = "UNICODE big", size: tuple[int, int] = (64, 64)
) -> bytes:
    """A JPEG or WebP file with `text` as its EXIF user comment, encoded in some way."""
    comment = {
        "UNICODE big": b"UNICODE\0" + text.encode("utf-16-be"),
        "UNICODE little": b"UNICODE\0" + text.encode("utf-16-le"),
        "ASCII": b"ASCII\0\0\0" + text.encode(),
        "none": text.encode(),
    }[how]
    exif = Pillow.Exif()
    exif.get_ifd(0x8769)[0x9286] = comment
    image = Pillow.new("RGB", size, "navy")
    image.save(file := io.BytesIO(), kind, exif=exif.tobytes())
    return file.getvalue()
