"""The things of the world: which Noto Emoji sprites are drawn, and the words that name them.

The sprites come from the npm package ``emoji-datasource-google`` (64 px PNG files and
``emoji.json``); their artwork is Noto Emoji, under the Apache License 2.0.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image

_TABLE = """
animals ground: cat2=cat,kitten|dog2=dog,puppy|racehorse=horse|cow2=cow|pig2=pig|sheep=sheep,lamb
animals ground: elephant=elephant|lion_face=lion|tiger2=tiger|panda_face=panda|bear=bear
animals ground: rabbit2=rabbit,bunny|fox_face=fox|monkey=monkey|rooster=rooster,chicken|wolf=wolf
animals water: duck=duck|swan=swan|fish=fish|tropical_fish=tropical fish|shark=shark|whale=whale
animals water: dolphin=dolphin|octopus=octopus
animals sky: owl=owl|eagle=eagle|bird=bird|parrot=parrot|butterfly=butterfly|bee=bee|bat=bat
animals ground: penguin=penguin|flamingo=flamingo|frog=frog|turtle=turtle,tortoise|snake=snake
animals ground: crocodile=crocodile,alligator|crab=crab|snail=snail|ladybug=ladybug,beetle
animals ground: sauropod=dinosaur|dragon=dragon|unicorn_face=unicorn|camel=camel
animals ground: giraffe_face=giraffe|zebra_face=zebra|deer=deer|kangaroo=kangaroo
animals ground: hedgehog=hedgehog|chipmunk=squirrel|koala=koala
plants ground: rose=rose|tulip=tulip|sunflower=sunflower|cherry_blossom=cherry blossom,blossom
plants ground: cactus=cactus|palm_tree=palm tree,palm|deciduous_tree=tree,oak
plants ground: evergreen_tree=pine tree,fir tree|mushroom=mushroom|maple_leaf=maple leaf,leaf
plants ground: four_leaf_clover=clover,four leaf clover
vehicles ground: car=car,red car|bus=bus|truck=truck,lorry|taxi=taxi,cab|police_car=police car
vehicles ground: fire_engine=fire engine,fire truck|ambulance=ambulance|tractor=tractor
vehicles ground: bike=bicycle,bike|racing_motorcycle=motorcycle,motorbike
vehicles ground: steam_locomotive=train,steam train,locomotive
vehicles sky: airplane=airplane,plane|helicopter=helicopter|rocket=rocket,spaceship
vehicles sky: flying_saucer=ufo,flying saucer
vehicles water: ship=ship|boat=sailboat,sailing boat,boat
buildings ground: house=house,cottage|european_castle=castle|japanese_castle=japanese castle
buildings ground: church=church|mosque=mosque|factory=factory|tokyo_tower=tower,tokyo tower
buildings ground: statue_of_liberty=statue of liberty,statue|tent=tent|fountain=fountain
buildings ground: ferris_wheel=ferris wheel|shinto_shrine=torii gate,torii,shrine
food any: apple=apple,red apple|banana=banana,bananas|tangerine=orange,tangerine|lemon=lemon
food any: strawberry=strawberry|grapes=grapes|watermelon=watermelon|pineapple=pineapple
food any: cherries=cherries|pear=pear|peach=peach|carrot=carrot|corn=corn|tomato=tomato
food any: eggplant=eggplant,aubergine|avocado=avocado|bread=bread,loaf of bread|cheese_wedge=cheese
food any: pizza=pizza|hamburger=hamburger,burger|fries=fries,french fries|sushi=sushi
food any: ramen=ramen,noodle soup|birthday=cake,birthday cake|doughnut=donut,doughnut
food any: cookie=cookie|icecream=ice cream|coffee=coffee,cup of coffee|beer=beer|wine_glass=wine
things any: book=book|umbrella=umbrella|guitar=guitar|violin=violin|drum_with_drumsticks=drum
things any: trumpet=trumpet|camera=camera|alarm_clock=clock,alarm clock|key=key|crown=crown
things any: heart=heart,red heart|star=yellow star,gold star|soccer=soccer ball,football
things any: basketball=basketball|balloon=balloon,red balloon|gift=gift,present|candle=candle
things any: bulb=light bulb,lamp|computer=laptop,computer|tv=television,tv|iphone=phone,smartphone
things any: scissors=scissors|tophat=hat,top hat|robot_face=robot|ghost=ghost
things ground: snowman_without_snow=snowman|jack_o_lantern=pumpkin|teddy_bear=teddy bear
things any: skull=skull|anchor=anchor|trophy=trophy,cup|chair=chair|izakaya_lantern=red lantern
things any: fire=fire,flame|earth_africa=globe,planet earth|eyeglasses=glasses
"""


@dataclass(frozen=True, slots=True)
class Thing:
    """One kind of thing: its name, other words for it, its sprite and where it stands."""

    name: str
    words: tuple[str, ...]
    sprite: str
    family: str
    place: str


@lru_cache(maxsize=1)
def things() -> tuple[Thing, ...]:
    """All kinds of things, in the order of the table."""
    found = []
    for line in _TABLE.strip().splitlines():
        head, body = line.split(": ")
        family, place = head.split()
        for entry in body.split("|"):
            sprite, words = entry.split("=")
            names = tuple(words.split(","))
            found.append(Thing(names[0], names, sprite, family, place))
    return tuple(found)


class Sprites:
    """The sprites of all things, read from an unpacked ``emoji-datasource-google`` package."""

    def __init__(self, folder: Path) -> None:
        table = json.loads((folder / "emoji.json").read_text())
        files = {short: entry["image"] for entry in table for short in entry["short_names"]}
        self._images: dict[str, Image.Image] = {}
        for thing in things():
            path = folder / "img" / "google" / "64" / files[thing.sprite]
            with Image.open(path, formats=["PNG"]) as image:
                self._images[thing.name] = image.convert("RGBA")
        self._scaled: dict[tuple[str, int], Image.Image] = {}

    def sized(self, thing: Thing, side: int) -> Image.Image:
        """The sprite with ``side`` pixels a side."""
        key = (thing.name, side)
        if key not in self._scaled:
            source = self._images[thing.name]
            self._scaled[key] = source.resize((side, side), Image.Resampling.LANCZOS)
        return self._scaled[key]


def pick(rng: random.Random, place: str | None = None) -> Thing:
    """A thing by chance; ``place`` narrows it to those that may stand there."""
    pool = [t for t in things() if place is None or t.place in (place, "any")]
    return rng.choice(pool)
