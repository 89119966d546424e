"""Whether a run is learning, in one plain sentence."""
import typing as tp

# Held-out losses that the concept's is compared with, in the order in which they are named.
REFERENCES = {'start': 'before learning', 'no_text': 'without text', 'class_word': "with the word '{}'"}
MARGIN = 1e-3  # less than that is no gain


def gap_closure(loss: float, no_text: float, class_word: float) -> tp.Optional[float]:
    """Which part of what a word gains over no text the concept gains: 1 is as good as the word, more is better.

    Args:
        loss (float): Held-out loss with the concept.
        no_text (float): Without any text.
        class_word (float): With the class word.
    Returns:
        float, optional: None where the word itself gains nothing.
    """
    gap = no_text - class_word
    return (no_text - loss) / gap if gap > 0 else None


def verdict(placeholder: str, loss: float, metrics: tp.Mapping[str, float], class_word: tp.Optional[str] = None,
            name: str = 'ce') -> str:
    """Compare the held-out loss with what it would be without the concept.

    Args:
        placeholder (str): The concept as written in prompts.
        loss (float): Held-out loss with the concept, a cross-entropy in nats for one.
        metrics (dict[str, float]): Holds the same for the untrained vectors (`ce_start`), without any text
            (`ce_no_text`) and with the class word (`ce_class_word`), as far as they are known.
        class_word (str, optional): The class word.
        name (str): What the loss is called in `metrics`.
    """
    others = {key: metrics[f'{name}_{key}'] for key in REFERENCES if f'{name}_{key}' in metrics}
    told = ', '.join(f'{value:.3f} {REFERENCES[key].format(class_word)}' for key, value in others.items())
    gap = f" Gap closure {metrics['gap_closure']:.2f}." if 'gap_closure' in metrics else ''
    return f"{_judge(placeholder, loss, others)}: held-out loss {loss:.3f} with {placeholder}, {told}.{gap}"


def _judge(placeholder: str, loss: float, others: tp.Mapping[str, float]) -> str:
    beaten = [key for key in REFERENCES if loss < others.get(key, float('inf')) - MARGIN]
    if 'start' not in beaten:
        return (f"{placeholder} has gained nothing so far; if this goes on, change the learning rate first "
                "(optim.lr, five times up or down)")
    if 'no_text' not in beaten:
        return f"{placeholder} is learning, but the model still does better without any text"
    if 'class_word' not in beaten:
        return f"{placeholder} is learning, but the class word still does better"
    return f"{placeholder} is learning"
